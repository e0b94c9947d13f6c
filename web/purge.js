import { command, query, read } from './api.js';
import { button, bytes, choice, el, field, many, nameOf, say } from './dom.js';

const TICK_MS = 1_000;
const ENDED = ['done', 'parked', 'cancelled'];

const WHY = {
  'virtual-key': 'its key is only a name, so the object belongs to the record',
  asked: 'you asked for it',
  'semantic-key': 'its key is the object’s own path, and such an object outlives its record',
  shared: 'another record uses the same object',
  'foreign-storage': 'Lethe does not manage its storage',
};

/** What became, or would become, of the object. @param {object | null} object of a preview or receipt */
export const fateWords = (object) => {
  if (object === null) return 'There is no object behind this record.';
  const what = `${object.path} (${many(object.objects, 'object')}, ${bytes(object.bytes)})`;
  const verb = { delete: 'will be deleted', keep: 'will be kept', deleted: 'was deleted', kept: 'was kept' }[
    object.fate
  ];
  const shared = object.sharedWith.map(({ registry, uid }) => `${registry}/${uid}`).join(', ');
  return `${what} ${verb}: ${WHY[object.why] ?? object.why}${shared === '' ? '' : ` (${shared})`}.`;
};

const wait = () => new Promise((resolve) => setTimeout(resolve, TICK_MS));

/** Who asks for a place now: an earlier one gives up. */
const turns = new WeakMap();

/**
 * Shows a state as it changes, until it has ended. What did not change is left as it stands, so that a focused button keeps its focus.
 * @param {HTMLElement} place
 * @returns the last state, or null where the page went elsewhere meanwhile
 */
export const follow = async (place, load, show, ended) => {
  const turn = {};
  turns.set(place, turn);
  for (let before = ''; ; await wait()) {
    if (before !== '' && !place.isConnected) return null;
    const state = await load();
    if (turns.get(place) !== turn) return null;
    const now = JSON.stringify(state);
    if (now !== before) place.replaceChildren(...show(state));
    if (ended(state)) return state;
    before = now;
  }
};

/** Shows a purge until it ends; one that is parked waits for a person, here. */
const followPurge = async (place, path, run) => {
  const again = (json) => async () => {
    await command('POST', `/purges${path}/retry`, json === null ? {} : { json });
    await followPurge(place, path, run);
  };
  const purge = await follow(
    place,
    () => read(`/purges${path}`),
    ({ state, attempts, error, nextTryAt, receipt }) => [
      el('p', {}, `The purge is ${state}${attempts > 0 ? `, after ${many(attempts, 'attempt')}` : ''}.`),
      ...(error === null ? [] : [el('p', {}, `Last error: ${error}`)]),
      ...(nextTryAt === null ? [] : [el('p', {}, `Next try at ${nextTryAt}.`)]),
      ...(receipt === null ? [] : [el('p', {}, fateWords(receipt.object))]),
      ...(['failed', 'parked'].includes(state)
        ? [
            el(
              'p',
              { className: 'row' },
              button('Try again now', run(again(null))),
              button('Keep the object instead', run(again({ storage: 'keep' }))),
            ),
          ]
        : []),
    ],
    ({ state }) => ENDED.includes(state),
  );
  if (purge !== null) say(`The purge is ${purge.state}.`);
};

/**
 * Previews a purge in words and, after a yes, carries out just that: the record must still be at the revision that was shown.
 * @param {(act: () => Promise<void>) => () => void} run shows what an act throws
 * @param {() => void} ended called when it was given up
 * @param {() => void} gone called when it was asked for: no query shows the record any more
 */
export const purgePanel = async (record, run, ended, gone = () => undefined) => {
  const path = `/${record.registry}/${record.uid}`;
  const isSemantic = record.registry === 'files' && record.keyIsVirtual === false;
  const panel = el('section', { className: 'panel', tabIndex: -1, 'aria-label': 'Purge' });

  const show = async (storage, reason) => {
    const { preview, warnings = [] } = await command(
      'DELETE',
      path + query({ permanent: 'true', dryRun: 'true', storage }),
    );
    const why = el('input', { name: 'reason', maxLength: 1000, value: reason });
    const fate = choice(
      'storage',
      [
        ['keep', 'keep it'],
        ['delete', 'delete it, too'],
      ],
      storage ?? 'keep',
    );
    fate.addEventListener('change', () => run(() => show(fate.value, why.value))());
    panel.replaceChildren(
      el('h2', {}, `Purge ${nameOf(record)}?`),
      el('p', {}, 'The record is deleted for good; its history stays. You can’t undo this.'),
      el('p', { id: 'fate' }, fateWords(preview.object)),
      ...[...warnings, ...(preview.warnings ?? [])].map(({ message }) => el('p', {}, message)),
      el(
        'form',
        { className: 'row', on: { submit: (event) => event.preventDefault() } },
        isSemantic ? field('The object', fate) : null,
        field('Reason', why),
        button(
          'Purge permanently',
          run(async () => {
            const answer = await command('DELETE', path + query({ permanent: 'true', storage, reason: why.value }), {
              headers: { 'If-Match': `"${preview.revision}"`, Prefer: 'wait=3' },
            });
            panel.replaceChildren(el('h2', {}, nameOf(record)));
            const place = el('div', { id: 'purge' });
            panel.append(place, el('p', {}, el('a', { href: `#${path}` }, 'What stays of it')));
            panel.focus();
            gone();
            if (answer.outcome !== 'purged') return followPurge(place, path, run);
            place.append(el('p', {}, `Purged. ${fateWords(answer.receipt.object)}`));
            for (const { message } of answer.receipt.warnings) place.append(el('p', {}, message));
            say(`${nameOf(record)} was purged.`);
          }),
          { className: 'danger' },
        ),
        button('Cancel', () => {
          panel.remove();
          ended();
        }),
      ),
    );
  };
  await show(isSemantic ? 'keep' : null, '');
  return panel;
};

/** What shows the purge of a record that is gone, as it goes on. */
export const purgeProgress = (path, run) => {
  const place = el('div', { id: 'purge' });
  run(() => followPurge(place, path, run))();
  return place;
};

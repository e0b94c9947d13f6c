import { command, query, read } from './api.js';
import { button, bytes, el, field, link, many, nameOf, say } from './dom.js';
import { paged } from './list.js';
import { follow, purgePanel } from './purge.js';

const totalWords = ({ records, bytes: freed }) => `${many(records, 'record')}, ${bytes(freed)}`;
const freedWords = (totals) => `${totalWords(totals)} would be freed by emptying it.`;

/** An operation's progress until it has ended. */
export const operationPage = (id, run) => {
  const place = el('div', { id: 'operation' });
  run(async () => {
    const ended = await follow(
      place,
      () => read(`/operations/${id}`),
      ({ state, total, counts, skipped }) => [
        el('p', {}, `${state === 'done' ? 'Done' : 'Running'}: ${totalWords(total)} in all.`),
        el('progress', {
          max: Math.max(total.records, 1),
          value: state === 'done' ? Math.max(total.records, 1) : total.records - counts.remaining,
          'aria-label': 'Progress',
        }),
        el('p', {}, `${counts.purged} purged, ${counts.purging} being purged, ${counts.skipped} skipped.`),
        ...skipped.map(({ registry, uid, code }) =>
          el('p', {}, link(`${registry}/${uid}`, `#/${registry}/${uid}`), ` was skipped: ${code}`),
        ),
      ],
      ({ state }) => state === 'done',
    );
    if (ended !== null) say(`The trash was emptied: ${ended.counts.purged} purged, ${ended.counts.skipped} skipped.`);
  })();
  return el('div', {}, el('h1', {}, 'Emptying the trash'), place);
};

/** Asks with the totals first, then starts the operation and goes to it. */
const emptyPanel = async (run, ended) => {
  const { totals } = await command('DELETE', `/trash${query({ dryRun: 'true', permanent: 'true' })}`);
  const reason = el('input', { name: 'reason', maxLength: 1000 });
  const panel = el(
    'section',
    { className: 'panel', tabIndex: -1, 'aria-label': 'Empty the trash' },
    el('h2', {}, 'Empty the trash?'),
    el('p', { id: 'totals' }, `${totalWords(totals)} would be freed. You can’t undo this.`),
    el(
      'form',
      { className: 'row', on: { submit: (event) => event.preventDefault() } },
      field('Reason', reason),
      button(
        'Empty permanently',
        run(async () => {
          const { id } = await command('DELETE', `/trash${query({ permanent: 'true', reason: reason.value })}`);
          window.location.hash = `#/operations/${id}`;
        }),
        { className: 'danger' },
      ),
      button('Cancel', () => {
        panel.remove();
        ended();
      }),
    ),
  );
  return panel;
};

/** All that is in the trash. @param {() => void} reload */
export const trashPage = async (run, reload) => {
  const place = el('div');
  const open = (make) =>
    run(async () => {
      const opener = document.activeElement;
      const gone = run(async () => {
        opener.closest('tr')?.remove();
        const { totals } = await read(`/trash${query({ limit: '1' })}`);
        document.getElementById('trash-totals')?.replaceChildren(freedWords(totals));
      });
      const panel = await make(() => opener.focus(), gone);
      place.replaceChildren(panel);
      panel.focus();
    });
  const { first, content } = await paged(
    'Trash',
    ['Record', 'Size', 'Trashed', 'By', 'Reason', 'Actions'],
    (cursor) => read(`/trash${query({ limit: '50', cursor })}`),
    (record) => [
      link(nameOf(record), `#/${record.registry}/${record.uid}`),
      bytes(record.size),
      record.trashedAt,
      record.trashedBy ?? '',
      record.reason ?? '',
      el(
        'span',
        { className: 'row' },
        button(
          'Restore',
          run(async () => {
            await command('POST', `/${record.registry}/${record.uid}/restore`);
            await reload();
            say(`${nameOf(record)} was restored.`);
          }),
          { 'aria-label': `Restore ${nameOf(record)}` },
        ),
        button(
          'Purge…',
          open((ended, gone) => purgePanel(record, run, ended, gone)),
          {
            className: 'danger',
            'aria-label': `Purge ${nameOf(record)}`,
          },
        ),
      ),
    ],
  );
  return el(
    'div',
    {},
    el('h1', {}, 'Trash'),
    el('p', { id: 'trash-totals' }, freedWords(first.totals)),
    first.totals.records === 0
      ? null
      : button(
          'Empty the trash…',
          open((ended) => emptyPanel(run, ended)),
          { className: 'danger' },
        ),
    place,
    content,
  );
};

import { command, hasKey, query, read, readBlob, Refused } from './api.js';
import { button, bytes, el, field, link, many, nameOf, say, shown } from './dom.js';
import { paged } from './list.js';
import { fateWords, purgePanel, purgeProgress } from './purge.js';

const IN_TRASH = -1;

const events = async (path) => {
  const { content } = await paged(
    'History',
    ['What', 'When', 'Who', 'Why', 'Details'],
    (cursor) => read(`${path}/history${query({ cursor })}`),
    ({ type, at, actor, reason, data }) => [
      type,
      at,
      actor,
      reason ?? '',
      el('details', {}, el('summary', {}, 'data'), el('pre', {}, shown(data))),
    ],
  );
  return el('section', { id: 'history' }, el('h2', {}, 'History'), content);
};

const objects = async (path) => {
  const { content } = await paged(
    'Objects',
    ['Path', 'Size'],
    (cursor) => read(`${path}/objects${query({ cursor })}`),
    ({ path: at, size }) => [at, bytes(size)],
  );
  return content;
};

/** With a key the bytes have to pass this page: a link can't carry it. */
const download = (record, path, run) => {
  const address = `${path}/content${record.visibility === IN_TRASH ? '?visibility=any' : ''}`;
  const name = nameOf(record).split('/').pop();
  if (!hasKey()) return el('a', { href: `/v1${address}`, download: name }, 'Download');
  return button(
    'Download',
    run(async () => {
      const url = URL.createObjectURL(await readBlob(address));
      el('a', { href: url, download: name }).click();
      URL.revokeObjectURL(url);
    }),
  );
};

/** A record that is gone: its tombstone, its receipt and its history. */
const gonePage = async (path, { tombstone, detail }, run) =>
  el(
    'div',
    {},
    el('h1', {}, tombstone.key ?? tombstone.uid),
    el('p', {}, detail),
    tombstone.receipt === null ? purgeProgress(path, run) : el('p', {}, fateWords(tombstone.receipt.object)),
    await events(path),
  );

/**
 * @param {boolean} isTrashable
 * @param {(act: () => Promise<void>) => () => void} run shows what an act throws
 * @param {() => void} reload
 */
export const recordPage = async (registry, uid, isTrashable, run, reload) => {
  const path = `/${registry}/${uid}`;
  let record;
  try {
    record = await read(path);
  } catch (error) {
    if (error instanceof Refused && error.problem.code === 'purged') return gonePage(path, error.problem, run);
    throw error;
  }
  const reason = el('input', { name: 'reason', maxLength: 1000 });
  const does = (text, method, at, said) =>
    button(
      text,
      run(async () => {
        const isPut = method === 'PUT';
        const where = path + at + (isPut ? '' : query({ reason: reason.value }));
        const { outcome } = await command(method, where, isPut ? { json: { reason: reason.value } } : {});
        // First the page, then the word: who acts on the word finds what it speaks of.
        await reload();
        say(`${nameOf(record)}: ${outcome === 'unchanged' ? 'nothing to change' : said}.`);
      }),
    );
  const isTrashed = record.visibility === IN_TRASH;
  const purge = button(
    'Purge…',
    run(async () => {
      purge.disabled = true;
      try {
        const panel = await purgePanel(record, run, () => {
          purge.disabled = false;
          purge.focus();
        });
        actions.after(panel);
        panel.focus();
      } catch (error) {
        purge.disabled = false;
        throw error;
      }
    }),
    { className: 'danger' },
  );
  const held = record.hold ?? null;
  const actions = el(
    'form',
    { className: 'row', 'aria-label': 'Actions', on: { submit: (event) => event.preventDefault() } },
    isTrashable ? field('Reason', reason) : null,
    isTrashable && !isTrashed ? does('Move to trash', 'DELETE', '', 'moved to the trash') : null,
    isTrashed ? does('Restore', 'POST', '/restore', 'restored') : null,
    isTrashable && held === null ? does('Hold', 'PUT', '/hold', 'held') : null,
    held === null ? null : does('Release the hold', 'DELETE', '/hold', 'released'),
    purge,
  );
  return el(
    'div',
    {},
    el('h1', {}, nameOf(record)),
    isTrashed ? el('p', {}, 'In the ', link('trash', '#/trash'), '.') : null,
    actions,
    registry === 'files' && !(record.path ?? '').endsWith('/') ? el('p', {}, download(record, path, run)) : null,
    el(
      'dl',
      {},
      ...Object.entries(record).flatMap(([name, value]) => [el('dt', {}, name), el('dd', {}, shown(value))]),
    ),
    registry === 'files' ? lazily(`Objects (${many(record.objects ?? 0, 'object')})`, () => objects(path), run) : null,
    await events(path),
  );
};

/** The store is asked only when somebody looks: it may be slow, or down. */
const lazily = (summary, load, run) => {
  const place = el('details', {}, el('summary', {}, summary));
  place.addEventListener(
    'toggle',
    run(async () => place.append(await load())),
    { once: true },
  );
  return place;
};

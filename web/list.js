import { query, read } from './api.js';
import { button, bytes, choice, el, field, link, many, nameOf, say, table } from './dom.js';

const PAGE = '50';

const SORTS = [
  ['-createdAt', 'newest first'],
  ['createdAt', 'oldest first'],
  ['-updatedAt', 'last changed first'],
];
const SORTS_OF = {
  files: [...SORTS, ['key', 'key'], ['-size', 'largest first']],
  plain: [...SORTS, ['name', 'name']],
};

/** Rows, and a button for more as long as there are. @param {(cursor: string | null) => Promise<object>} load @param {(item: object) => (Node | string)[]} row */
export const paged = async (caption, heads, load, row) => {
  const first = await load(null);
  const grid = table(caption, heads, first.items.map(row));
  const body = grid.querySelector('tbody');
  let { next } = first;
  const more = button('Show more', async () => {
    const page = await load(next);
    body.append(...page.items.map((item) => el('tr', {}, ...row(item).map((cell) => el('td', {}, cell)))));
    ({ next } = page);
    more.hidden = next === null;
    say(many(body.rows.length, 'row') + ' shown');
  });
  more.hidden = next === null;
  return { first, content: el('div', {}, first.items.length === 0 ? el('p', {}, 'Nothing here.') : grid, more) };
};

/** The visible records of a registry. @param {URLSearchParams} asked what the address says: `q`, `in`, `sort` */
export const listPage = async (registry, asked) => {
  const isFiles = registry === 'files';
  const sorts = SORTS_OF[isFiles ? 'files' : 'plain'];
  const name = isFiles ? 'key' : 'name';
  const by = asked.get('in') ?? (isFiles ? 'key[startsWith]' : 'name[contains]');
  const sort = asked.get('sort') ?? '-createdAt';
  const text = asked.get('q') ?? '';
  const load = (cursor) => read(`/${registry}${query({ [by]: text, sort, limit: PAGE, count: 'true', cursor })}`);

  const { first, content } = await paged(
    registry,
    isFiles ? ['Key', 'Size', 'Description', 'Created', 'By'] : ['Name', 'Description', 'Created'],
    load,
    (record) => [
      link(nameOf(record), `#/${registry}/${record.uid}`),
      ...(isFiles ? [bytes(record.size)] : []),
      record.description ?? '',
      record.createdAt,
      ...(isFiles ? [record.createdBy ?? ''] : []),
    ],
  );
  const form = el(
    'form',
    {
      className: 'row',
      role: 'search',
      on: {
        submit: (event) => {
          event.preventDefault();
          const said = new FormData(form);
          window.location.hash = `#/${registry}${query({ q: said.get('q'), in: said.get('in'), sort: said.get('sort') })}`;
        },
      },
    },
    field('Search', el('input', { type: 'search', name: 'q', value: text })),
    field(
      'Where',
      choice(
        'in',
        [
          [`${name}[startsWith]`, `${name} begins with`],
          [`${name}[contains]`, `${name} contains`],
          ['description[contains]', 'description contains'],
        ],
        by,
      ),
    ),
    field('Order', choice('sort', sorts, sort)),
    el('button', { type: 'submit' }, 'Search'),
  );
  return el(
    'div',
    {},
    el('h1', {}, registry),
    form,
    el('p', { className: 'faint' }, many(first.total, 'record')),
    content,
  );
};

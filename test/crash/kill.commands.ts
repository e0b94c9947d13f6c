import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Chance } from './kill.chance.js';
import { md5Of } from './kill.disk.js';
import { waysTo, type Command, type Put, type World } from './kill.world.js';

/** A command before it has a name: what the generator decides. */
interface Draft {
  readonly method: 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly json?: unknown;
  readonly metadata?: Record<string, unknown>;
  readonly content?: Buffer;
  readonly headers?: Record<string, string>;
}

type Draw = (chance: Chance, world: World) => Draft | null;

const PLAIN = ['labels', 'runs', 'transforms'] as const;
const TRASHABLE = ['files', 'files', 'files', 'datasets'] as const;
/** So few that the same content comes again and again. */
const CONTENTS = ['red', 'green', 'blue', ''].map((text) => Buffer.from(text));

/**
 * The next command of a caller, drawn from what it knows of the records. Now and then an outsider writes files instead: null.
 */
export const drawCommand = (chance: Chance, world: World, round: number): Command | null => {
  const draft = chance.weighted(DRAWS)(chance, world);
  if (draft === null) return null;
  if (draft.content !== undefined) world.contents.add(md5Of(draft.content));
  const number = world.number();
  const command: Command = {
    id: `round-${round}-command-${number}`,
    round,
    method: draft.method,
    url: draft.url,
    actor: chance.pick(['ada', 'bob', 'eve']),
    key: chance.maybe(0.6) ? `key-${number}` : null,
    json: draft.json,
    metadata: draft.metadata ?? null,
    content: draft.content ?? null,
    headers: draft.headers ?? {},
    sent: 0,
    heard: [],
  };
  world.commands.set(command.id, command);
  return command;
};

/** An upload that goes to a path of its own, or under its key. */
export const uploadOf = (chance: Chance, world: World, content: Buffer): Draft => {
  const semantic = chance.maybe(0.5) ? semanticKey(chance, world) : null;
  const metadata = {
    ...(semantic ?? { key: chance.maybe(0.7) ? `mine/${chance.below(50)}.bin` : null, storage: virtualHome(chance) }),
    keyIsVirtual: semantic === null,
    onDuplicate: chance.pick(['return', 'create', 'create', 'fail']),
    visibility: chance.maybe(0.85) ? 1 : 0,
    ...pointers(chance, world, 'files'),
  };
  return { method: 'POST', url: '/v1/files', metadata, content };
};

const virtualHome = (chance: Chance): string => chance.pick(['default', 'default', 'default', 'lab', 'inner']);

/** Few keys, so that callers meet; some within folders that are registered whole. */
const semanticKey = (chance: Chance, world: World): { key: string; storage: string } => {
  const put = chance.maybe(0.4) ? chance.recent(world.puts) : null;
  if (put === null || put.home === 'foreign') return { key: `docs/${chance.below(12)}.bin`, storage: 'default' };
  const [first = { storage: 'lab', path: '' }, second = first] = waysTo(put);
  const { storage, path } = chance.maybe(0.5) ? first : second;
  return { key: `${path}up-${chance.below(3)}.bin`, storage };
};

const pointers = (chance: Chance, world: World, registry: 'files' | 'datasets'): Record<string, unknown> => {
  const some = (of: string, probability: number): string | null =>
    chance.maybe(probability) ? chance.recent(world.uids(of)) : null;
  const label = some('labels', 0.3);
  return {
    labels: label === null ? [] : [label],
    run: some('runs', 0.15),
    transform: some('transforms', 0.1),
    initialVersion: some(registry, 0.08),
  };
};

const small: Draw = (chance, world) =>
  uploadOf(
    chance,
    world,
    chance.maybe(0.4) ? (chance.recent(CONTENTS) ?? Buffer.alloc(0)) : chance.bytes(chance.below(3000)),
  );

const large: Draw = (chance, world) => uploadOf(chance, world, chance.bytes(1_500_000 + chance.below(4_000_000)));

/** What lies somewhere: a folder, a folder within it, or one of its files, through one storage or another. */
const byPath: Draw = (chance, world) => {
  const put = chance.recent(world.puts);
  if (put === null) return outsider(chance, world);
  const [first = { storage: 'lab', path: '' }, second = first] = waysTo(put);
  const { storage, path } = chance.maybe(0.5) ? first : second;
  const file = chance.recent(put.files);
  const inner = put.files.find((name) => name.startsWith('sub/')) === undefined ? '' : 'sub/';
  const what = chance.pick(['', '', inner, file ?? '', file ?? '']);
  const json = {
    path: path + what,
    storage,
    onDuplicate: chance.pick(['return', 'create', 'create']),
    ...pointers(chance, world, 'files'),
  };
  return { method: 'POST', url: '/v1/files', json };
};

/** An outsider lays files down: a new folder, or one more in a folder that is there. */
const outsider: Draw = (chance, world) => {
  const known = chance.maybe(0.35) ? chance.recent(world.puts) : null;
  const put: Put = known ?? {
    home: chance.pick(['lab', 'lab', 'lab', 'foreign']),
    path: `${chance.pick(['', '', '', 'deep/', 'deep/', 'deep/', 'sealed/'])}set-${world.number()}/`,
    files: [],
  };
  const names =
    known === null
      ? ['a.bin', 'b.bin', ...(chance.maybe(0.5) ? ['sub/c.bin'] : [])]
      : [`late-${world.number()}.bin`].slice(0, known.files.length < 6 ? 1 : 0);
  for (const name of names) {
    world.lay(world.placeOf(put.home, put.path + name), chance.bytes(chance.below(200)));
    put.files.push(name);
  }
  if (known === null) world.puts.push(put);
  return null;
};

const plain: Draw = (chance) => ({
  method: 'POST',
  url: `/v1/${chance.pick(PLAIN)}`,
  json: { name: `name ${chance.below(100)}`, data: { n: chance.below(10) } },
});

const dataset: Draw = (chance, world) => {
  const files = new Set([chance.recent(world.uids('files')), chance.recent(world.uids('files'))]);
  files.delete(null);
  const json = { name: `set ${chance.below(100)}`, files: [...files], ...pointers(chance, world, 'datasets') };
  return { method: 'POST', url: '/v1/datasets', json };
};

/** A storage within a storage. */
const storage: Draw = (chance, world) => {
  const name = `nest-${world.number()}`;
  const root = join(world.folder, chance.pick(['lab', 'lab/deep']), name);
  mkdirSync(root, { recursive: true });
  return { method: 'POST', url: '/v1/storages', json: { name, data: { root: `file:${root}` } } };
};

/** An upload into a storage that callers made, and may purge. */
const nested: Draw = (chance, world) => {
  const home = chance.recent(world.uids('storages'));
  if (home === null) return storage(chance, world);
  const key = `n-${chance.below(5)}.bin`;
  const metadata = { key, keyIsVirtual: chance.maybe(0.6), storage: home, onDuplicate: 'create' };
  return { method: 'POST', url: '/v1/files', metadata, content: chance.bytes(50) };
};

/** A command on one record: its path, and what else the caller says. */
const on =
  (registries: readonly [string, ...string[]], say: (chance: Chance, world: World, path: string) => Draft): Draw =>
  (chance, world) => {
    const registry = chance.pick(registries);
    const uid = chance.recent(world.uids(registry));
    if (uid === null) return small(chance, world);
    const draft = say(chance, world, `/v1/${registry}/${uid}`);
    // A revision that may be the record's, or not.
    if (chance.maybe(0.9)) return draft;
    return { ...draft, headers: { ...draft.headers, 'if-match': `"${chance.below(4)}"` } };
  };

const patch = on([...TRASHABLE, ...PLAIN], (chance, world, path) => {
  const registry = path.split('/')[2];
  if (registry !== 'files' && registry !== 'datasets') {
    return {
      method: 'PATCH',
      url: path,
      json: { description: `text ${chance.below(5)}`, data: { m: chance.below(4) } },
    };
  }
  const { labels, run } = pointers(chance, world, registry);
  const json = chance.pick<Record<string, unknown>>([
    { description: `text ${chance.below(5)}` },
    { visibility: chance.below(2) },
    { labels, run, version: `v${chance.below(3)}` },
  ]);
  return { method: 'PATCH', url: path, json };
});

const trash = on(TRASHABLE, (chance, _world, path) => ({
  method: 'DELETE',
  url: `${path}${chance.maybe(0.2) ? '?permanent=false' : ''}`,
}));
const restore = on(TRASHABLE, (_chance, _world, path) => ({ method: 'POST', url: `${path}/restore`, json: {} }));
const hold = on(TRASHABLE, (chance, _world, path) => ({
  method: 'PUT',
  url: `${path}/hold`,
  json: { reason: `case ${chance.below(3)}` },
}));
const release = on(TRASHABLE, (_chance, _world, path) => ({ method: 'DELETE', url: `${path}/hold` }));
const purge = on(TRASHABLE, (chance, _world, path) => ({
  method: 'DELETE',
  url: `${path}?permanent=true${chance.pick(['', '&storage=delete', '&storage=delete', '&storage=keep'])}`,
  ...(chance.maybe(0.2) && { headers: { prefer: 'wait=1' } }),
}));
const purgePlain = on([...PLAIN, 'storages'], (_chance, _world, path) => ({ method: 'DELETE', url: path }));
const retry = on(TRASHABLE, (chance, _world, path) => ({
  method: 'POST',
  url: `${path.replace('/v1/', '/v1/purges/')}/retry`,
  json: chance.maybe(0.5) ? { storage: 'keep' } : {},
}));
const emptyTrash: Draw = (chance) => ({
  method: 'DELETE',
  url: `/v1/trash?permanent=true${chance.pick(['', '&registry=files', '&registry=datasets'])}`,
});

const DRAWS: readonly (readonly [number, Draw])[] = [
  [14, small],
  [2, large],
  [9, byPath],
  [4, outsider],
  [4, plain],
  [4, dataset],
  [0.5, storage],
  [2, nested],
  [7, patch],
  [9, trash],
  [4, restore],
  [3, hold],
  [3, release],
  [13, purge],
  [3, purgePlain],
  [1, retry],
  [0.6, emptyTrash],
];

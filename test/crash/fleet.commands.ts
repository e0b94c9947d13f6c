import type { Ref } from '../../src/events/vocabulary.js';
import type { Chance } from './kill.chance.js';
import type { Command } from './kill.world.js';

/** What the clients know, and what they asked for and were told. */
export class FleetWorld {
  readonly commands = new Map<string, Command>();
  readonly records: Ref[] = [];
  /** The uids of the files among them. */
  readonly files: string[] = [];
  acknowledged = 0n;
  private count = 0;

  add({ registry, uid }: Ref): void {
    this.records.push({ registry, uid });
    if (registry === 'files') this.files.push(uid);
  }

  /** A command of its own key, which is not sent yet. */
  command(actor: string, draft: Draft): Command {
    this.count += 1;
    const id = `command-${this.count}`;
    const { method, url, json, metadata, content, headers } = draft;
    const command: Command = {
      ...{ id, round: 0, method, url, actor, key: `key-${this.count}`, json, metadata: metadata ?? null },
      ...{ content: content ?? null, headers: headers ?? {}, sent: 0, heard: [] },
    };
    this.commands.set(id, command);
    return command;
  }
}

export interface Draft {
  readonly method: 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  readonly url: string;
  readonly json?: unknown;
  readonly metadata?: Record<string, unknown>;
  readonly content?: Buffer;
  readonly headers?: Record<string, string>;
}

const uploadOf = (key: string, content: string, keyIsVirtual = true): Draft => ({
  method: 'POST',
  url: '/v1/files',
  metadata: { key, keyIsVirtual, onDuplicate: 'create' },
  content: Buffer.from(content),
});
const registerAt = (path: string): Draft => ({
  method: 'POST',
  url: '/v1/files',
  json: { path, storage: 'default', onDuplicate: 'create' },
});
const count = (length: number): number[] => Array.from({ length }, (_, index) => index);

/** The thousand records, in waves: what a wave points to stands before it. */
export const FILES: readonly Draft[] = [
  // Every tenth has the content of another.
  ...count(640).map((n) => uploadOf(`mine/${n}.bin`, `content ${n % 10 === 0 ? 0 : n}`)),
  ...count(120).map((n) => uploadOf(`docs/${n}.bin`, `document ${n}`, false)),
  ...count(60).map((n) => uploadOf(`sets/${n % 20}/part-${n}.bin`, `part ${n}`, false)),
];
/** Second records on objects that others have, and folders around others' objects. */
export const SHARING: readonly Draft[] = [
  ...count(60).map((n) => registerAt(`docs/${n}.bin`)),
  ...count(20).map((n) => registerAt(`sets/${n}/`)),
];
export const DATASETS = 100;

export const datasetOf = (chance: Chance, { files }: FleetWorld): Draft => {
  const members = new Set(count(1 + chance.below(3)).map(() => files[chance.below(files.length)]));
  return { method: 'POST', url: '/v1/datasets', json: { name: `set ${chance.below(100)}`, files: [...members] } };
};

type Draw = (chance: Chance, world: FleetWorld) => Draft;

const on =
  (say: (path: string, chance: Chance) => Draft): Draw =>
  (chance, { records }) => {
    // Every twelfth is asked for as often as all others together: callers meet there.
    const drawn = chance.below(records.length);
    const record = records[chance.maybe(0.5) ? drawn : drawn - (drawn % 12)];
    if (record === undefined) throw new RangeError('there is no record yet');
    return say(`/v1/${record.registry}/${record.uid}`, chance);
  };

const trash = on((path) => ({ method: 'DELETE', url: `${path}?permanent=false` }));
const restore = on((path) => ({ method: 'POST', url: `${path}/restore`, json: {} }));
const purge = on((path, chance) => ({
  method: 'DELETE',
  url: `${path}?permanent=true${chance.pick(['', '', '&storage=delete', '&storage=keep'])}`,
  ...(chance.maybe(0.3) && { headers: { prefer: 'wait=5' } }),
}));
const hold = on((path, chance) => ({
  method: 'PUT',
  url: `${path}/hold`,
  json: { reason: `case ${chance.below(3)}` },
}));
const release = on((path) => ({ method: 'DELETE', url: `${path}/hold` }));
const describe = on((path, chance) => ({
  method: 'PATCH',
  url: path,
  json: { description: `text ${chance.below(5)}`, visibility: chance.below(2) },
}));
const newcomer: Draw = (chance) => uploadOf(`late/${chance.below(1_000)}.bin`, `late ${chance.next()}`);

/** New ones come as purged ones go; new datasets come to point at what others are about to purge. */
const DRAWS: readonly (readonly [number, Draw])[] = [
  [10, trash],
  [7, restore],
  [6, purge],
  [2, hold],
  [3, release],
  [2, describe],
  [3, newcomer],
  [3, datasetOf],
];

export const drawCommand = (chance: Chance, world: FleetWorld): Draft => chance.weighted(DRAWS)(chance, world);

import type { Mutant } from './mutant.js';

/* Bytes and their owners, and what each adapter promises. */

const simulation = (says: RegExp, seeds = 600): Mutant['caughtBy'] => ({ by: 'simulation', says, seeds });

export const STORING: readonly Mutant[] = [
  {
    id: 'unknown-upload-taken-back',
    file: 'src/commands/upload.handlers.ts',
    before: `if (metadata.keyIsVirtual && !(error instanceof OutcomeUnknown)) await`,
    after: `if (metadata.keyIsVirtual) await`,
    breaks: 'bytes go that an event names whose answer was lost',
    caughtBy: simulation(/I[17] /),
  },
  {
    id: 'loser-removes-any-path',
    file: 'src/commands/upload.handlers.ts',
    before: `if (metadata.keyIsVirtual && !won) await`,
    after: `if (!won || !metadata.keyIsVirtual) await`,
    breaks: 'an upload removes what lies under a semantic key',
    caughtBy: simulation(/I7 /),
  },
  {
    id: 'upload-never-gives-up',
    file: 'src/commands/upload.handlers.ts',
    before: `if (clock.monotonic() - bytesAt < UNACKNOWLEDGED_MS) return`,
    after: `if (clock.monotonic() >= bytesAt) return`,
    breaks: 'an upload names bytes that lay unnamed so long that they may be cleared away',
    caughtBy: { by: 'test', file: 'test/core/upload.test.ts', name: 'gives up after an hour' },
  },
  {
    id: 'any-log-owns',
    file: 'src/commands/ownership.ts',
    before: `if (owner.instance !== log.instance) {`,
    after: `if (owner.instance === '') {`,
    breaks: "a log writes to and deletes from another log's storage",
    caughtBy: { by: 'test', file: 'test/core/ownership.test.ts', name: 'is refused to another log' },
  },
  {
    id: 'restored-log-owns',
    file: 'src/commands/ownership.ts',
    before: `if (BigInt(owner.position) <= log.head) return null;`,
    after: `if (BigInt(owner.position) >= 0n) return null;`,
    breaks: 'a log that was restored from a backup deletes what it no longer knows of',
    caughtBy: { by: 'test', file: 'test/core/ownership.test.ts', name: 'is behind what the storage has seen' },
  },
  {
    id: 'log-in-memory-doubles',
    file: 'src/testing/in-memory-event-store.ts',
    before: `if (actual !== expected) throw`,
    after: `if (actual < expected) throw`,
    breaks: 'an append that comes too late is written at a revision that is taken',
    caughtBy: simulation(/I/),
  },
  {
    id: 'log-without-fsync',
    file: 'src/storage/event-store/sqlite.file.ts',
    before: `db.pragma('synchronous = FULL');`,
    after: `db.pragma('synchronous = NORMAL');`,
    breaks: 'an acknowledged append can vanish at a power cut',
    caughtBy: { by: 'test', file: 'test/contract/event-store.sqlite.test.ts', name: 'a full fsync' },
  },
  {
    id: 'log-refuses-repeats',
    file: 'src/storage/event-store/sqlite.thread.ts',
    before: `if (last === undefined || !repeated) return`,
    after: `if (last === undefined || repeated) return`,
    breaks: 'an append that is repeated after a lost answer is a conflict, and another one is none',
    caughtBy: { by: 'test', file: 'test/contract/event-store.sqlite.test.ts', name: 'what the first one answered' },
  },
  {
    id: 'model-takes-any-checkpoint',
    file: 'src/storage/read-model/sqlite.write.ts',
    before: `if (this.#move.run(to, from).changes === 0) {`,
    after: `if (this.#move.run(to, from).changes < 0) {`,
    breaks: 'two projectors, or a repeat, write one batch twice',
    caughtBy: { by: 'test', file: 'test/contract/read-model.sqlite.test.ts', name: 'begins elsewhere' },
  },
  {
    id: 'model-keeps-half-a-batch',
    file: 'src/storage/read-model/sqlite.write.ts',
    before: `if (this.#db.inTransaction) this.#db.exec('ROLLBACK');`,
    after: `if (this.#db.inTransaction) this.#db.exec('COMMIT');`,
    breaks: 'a batch that fails half way leaves its checkpoint and its first rows',
    caughtBy: { by: 'test', file: 'test/contract/read-model.sqlite.test.ts', name: 'a row that cannot be written' },
  },
  {
    id: 'folder-deletes-unseen',
    file: 'src/storage/object-store/filesystem.ts',
    before: `if (stats !== null && etagOf(stats) !== seen.etag) return 'changed';`,
    after: `if (stats !== null && etagOf(stats) === '') return 'changed';`,
    breaks: 'a file goes that took the place of the one that was seen',
    caughtBy: { by: 'test', file: 'test/contract/object-store.filesystem.test.ts', name: 'took the place' },
  },
  {
    id: 'folder-overwrites',
    file: 'src/storage/object-store/filesystem.publish.ts',
    before: `    await link(await file.place(), folder.at(name));\n`,
    after: `    await rename(await file.place(), folder.at(name));\n`,
    breaks: 'an upload overwrites what another stored meanwhile',
    caughtBy: { by: 'test', file: 'test/contract/object-store.filesystem.test.ts', name: 'never overwrites' },
  },
];

import { execFileSync } from 'node:child_process';
import { readdirSync, renameSync, rmdirSync, statSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import {
  chmod,
  link,
  lstat,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Exists, Full, InvalidPath, OutcomeUnknown, Unavailable } from '../../src/storage/errors.js';
import { openFilesystemStore } from '../../src/storage/object-store/filesystem.js';
import type { Reach } from '../../src/storage/object-store/filesystem.folder.js';
import { bestReach } from '../../src/storage/object-store/filesystem.root.js';
import type { ObjectStore, SeenFile } from '../../src/storage/object-store/port.js';
import { bodyOf, failing, objectStoreContract, pattern, stalling } from './object-store.contract.js';

const MIB = 1024 * 1024;
const best = await bestReach();

/** The two ways in which names are reached; the second is the only one where there is no /proc. */
const REACHES: readonly (readonly [name: string, reach: Reach])[] = [
  ...(best === null ? [] : [['through open folders', best] as const]),
  ['by names', null],
];

let number = 0;
const random = () => `temporary-${String((number += 1))}`;

for (const [name, reach] of REACHES) {
  objectStoreContract(`a folder, ${name}`, async () => {
    const root = await mkdtemp(join(tmpdir(), 'lethe-objects-'));
    return {
      store: await openFilesystemStore({ root, random, create: false, reach }),
      outside: {
        async write(path, content) {
          const file = join(root, path);
          await mkdir(dirname(file), { recursive: true });
          await writeFile(file, content);
        },
        remove: async (path) => unlink(join(root, path)),
        read: async (path) => readOrNull(join(root, path)),
        list: async () => filesBelow(root),
      },
      cleanup: async () => rm(root, { recursive: true }),
    };
  });
}

describe.each(REACHES)('a folder as an object store, %s', (_, reach) => {
  let base: string;
  let root: string;
  let elsewhere: string;
  let store: ObjectStore;

  beforeEach(async () => {
    base = await mkdtemp(join(tmpdir(), 'lethe-folder-'));
    root = join(base, 'root');
    elsewhere = join(base, 'elsewhere');
    await mkdir(root);
    await mkdir(join(elsewhere, 'deep'), { recursive: true });
    await writeFile(join(elsewhere, 'secret'), 'secret');
    await writeFile(join(elsewhere, 'deep', 'secret'), 'secret');
    store = await openFilesystemStore({ root, random, create: false, reach });
  });

  afterEach(async () => {
    vi.restoreAllMocks();
    expect(await filesBelow(elsewhere)).toEqual(['deep/secret', 'secret']);
    expect(await readFile(join(elsewhere, 'secret'), 'utf8')).toBe('secret');
    await rm(base, { recursive: true });
  });

  describe('symbolic links', () => {
    let seen: SeenFile;

    beforeEach(async () => {
      seen = await store.put('real/file', bodyOf('x'));
    });

    it.each([
      ['out of the root', () => elsewhere],
      ['to a folder inside the root', () => join(root, 'real')],
      ['to nothing', () => join(base, 'nothing')],
    ])('are not followed on the way: %s', async (_, target) => {
      await symlink(target(), join(root, 'link'));
      await mkdir(join(root, 'a'));
      await symlink(target(), join(root, 'a', 'link'));
      for (const folder of ['link', 'a/link']) {
        for (const path of [`${folder}/secret`, `${folder}/deep/secret`, `${folder}/file`, `${folder}/new`])
          await refuses(path);
        for (const path of [`${folder}/`, `${folder}/deep/`]) {
          await expect(collect(store.list(path))).rejects.toBeInstanceOf(InvalidPath);
          await expect(store.prune(path)).rejects.toBeInstanceOf(InvalidPath);
        }
      }
      expect(await filesBelow(root)).toEqual(['a/link', 'link', 'real/file']);
    });

    it('are not followed as a file', async () => {
      await symlink(join(elsewhere, 'secret'), join(root, 'out'));
      await symlink('real/file', join(root, 'in'));
      await symlink('nothing', join(root, 'dangling'));
      for (const path of ['out', 'in', 'dangling']) await refuses(path);
      expect(await filesBelow(root)).toEqual(['dangling', 'in', 'out', 'real/file']);
    });

    it('are not listed, and a folder that holds one is not removed', async () => {
      await symlink(elsewhere, join(root, 'real', 'folder'));
      await symlink(join(elsewhere, 'secret'), join(root, 'real', 'secret'));
      expect((await collect(store.list(''))).map(({ path }) => path)).toEqual(['real/file']);
      await store.delete('real/file', seen);
      await store.prune('real/');
      expect(await filesBelow(root)).toEqual(['real/folder', 'real/secret']);
    });

    it('may lead to the root, which the operator named', async () => {
      await symlink(root, join(base, 'link-to-root'));
      const linked = await openFilesystemStore({ root: join(base, 'link-to-root'), random, create: true, reach });
      expect(await linked.stat('real/file')).toEqual(seen);
      await linked.put('other', bodyOf('x'));
      expect(await filesBelow(root)).toEqual(['other', 'real/file']);
    });

    it('are not followed where a parent becomes one while the body comes in', async () => {
      await rename(join(root, 'real'), join(root, 'away'));
      const publish = async () => symlink(elsewhere, join(root, 'real'));
      await expect(store.put('real/new', bodyOf('x'), { publish })).rejects.toBeInstanceOf(InvalidPath);
      expect(await filesBelow(root)).toEqual(['away/file', 'real']);
    });

    it.each(['real/new', 'real/deep/new'])(
      'are not followed where a parent becomes one at the last moment: %s',
      async (path) => {
        const synced = await spyOnSync(root);
        synced.fail = ({ inode, times }) => {
          // Synced into the root is the folder `real`, which the put has open by then.
          if (inode !== statSync(root).ino || times > 1) return false;
          renameSync(join(root, 'real'), join(root, 'away'));
          symlinkSync(elsewhere, join(root, 'real'));
          return false;
        };
        const put = store.put(path, bodyOf('x'));
        if (reach === null) {
          await expect(put).rejects.toBeInstanceOf(InvalidPath);
          expect(await filesBelow(root)).toEqual(['away/file', 'real']);
        } else {
          // It went where it had been going: as if the folder had been moved right after.
          await put;
          expect(await filesBelow(root)).toEqual(['away/file', path.replace('real', 'away'), 'real'].sort());
        }
      },
    );

    it('are not followed where the unfinished uploads should be', async () => {
      await rm(join(root, '.lethe'), { recursive: true });
      await symlink(elsewhere, join(root, '.lethe'));
      await expect(store.put('new', bodyOf('x'))).rejects.toBeInstanceOf(InvalidPath);
      await rm(join(root, '.lethe'));
      await mkdir(join(root, '.lethe'));
      await symlink(elsewhere, join(root, '.lethe', 'tmp'));
      await expect(store.put('new', bodyOf('x'))).rejects.toBeInstanceOf(InvalidPath);
    });

    it('are not followed where a folder becomes one while it is listed', async () => {
      for (const path of ['a', 'b/c', 'b/d/e', 'f']) await store.put(path, bodyOf('x'));
      const found: string[] = [];
      for await (const { path } of store.list('')) {
        found.push(path);
        if (path !== 'a') continue;
        await rename(join(root, 'b'), join(base, 'b'));
        await symlink(elsewhere, join(root, 'b'));
      }
      expect(found).toEqual(['a', 'f', 'real/file']);
    });

    // By names, between a look and a call, nothing can promise that (docs/deleting.md).
    if (reach !== null)
      it('lead nowhere, however quickly a folder and a link change places', async () => {
        await mkdir(join(root, 'swapped', 'deep'), { recursive: true });
        await writeFile(join(root, 'swapped', 'secret'), 'public');
        await writeFile(join(root, 'swapped', 'deep', 'secret'), 'public');
        const state = { done: false };
        // A put may make the folder in between; then a step of ours fails, and the next goes on with what is there.
        const quietly = async (step: Promise<void>) => step.catch(() => undefined);
        const swapping = (async () => {
          for (let turn = 0; !state.done; turn += 1) {
            const at = (name: string) => join(root, `${name}-${String(turn)}`);
            await quietly(rename(join(root, 'swapped'), at('folder')));
            await quietly(symlink(elsewhere, join(root, 'swapped')));
            await quietly(rename(join(root, 'swapped'), at('link')));
            await quietly(rename(at('folder'), join(root, 'swapped')));
          }
        })();
        const outcomes = { reached: 0, refused: 0 };
        const secret = await stat(join(elsewhere, 'deep', 'secret'), { bigint: true });
        for (let round = 0; round < 400 || outcomes.reached === 0 || outcomes.refused === 0; round += 1) {
          const calls = [
            async () => {
              const found = await store.get('swapped/deep/secret');
              if (found !== null) expect((await buffer(found.body)).toString()).toBe('public');
            },
            async () => store.put(`swapped/deep/new-${String(round)}`, bodyOf('x')),
            async () => store.delete('swapped/deep/secret', { ...seen, etag: etagOf(secret) }),
            async () => store.prune('swapped/deep/'),
            async () => {
              for (const { etag } of await collect(store.list('swapped/'))) expect(etag).not.toBe(etagOf(secret));
            },
          ];
          for (const outcome of await Promise.allSettled(calls.map(async (call) => call()))) {
            if (outcome.status === 'fulfilled') outcomes.reached += 1;
            else if (outcome.reason instanceof InvalidPath) outcomes.refused += 1;
            else if (!(outcome.reason instanceof Unavailable)) throw outcome.reason;
          }
        }
        // Both were met: the folder and the link.
        state.done = true;
        await swapping;
      });

    async function refuses(path: string): Promise<void> {
      for (const call of [
        async () => store.put(path, bodyOf('x')),
        async () => store.get(path),
        async () => store.stat(path),
        async () => store.delete(path, seen),
      ]) {
        await expect(call()).rejects.toBeInstanceOf(InvalidPath);
      }
    }
  });

  describe('what is no file and no folder', () => {
    it('is refused by its name, not waited for, and not listed', async () => {
      const server = createServer().listen(join(root, 'socket'));
      await new Promise((resolve) => server.once('listening', resolve));
      execFileSync('mkfifo', [join(root, 'pipe')]);
      for (const path of ['pipe', 'socket']) {
        await expect(store.get(path)).rejects.toBeInstanceOf(InvalidPath);
        await expect(store.stat(path)).rejects.toBeInstanceOf(InvalidPath);
        await expect(store.delete(path, SOME_FILE)).rejects.toBeInstanceOf(InvalidPath);
        await expect(store.put(path, bodyOf('x'))).rejects.toBeInstanceOf(Exists);
        await expect(store.put(`${path}/x`, bodyOf('x'))).rejects.toBeInstanceOf(Exists);
      }
      expect(await collect(store.list(''))).toEqual([]);
      await new Promise((resolve) => server.close(resolve));
    });

    it('has a name that no path can hold: it is not listed, and its folder stays', async () => {
      await mkdir(join(root, 'a', 'back\\slash'), { recursive: true });
      await writeFile(join(root, 'a', 'line\nfeed'), 'x');
      await writeFile(join(root, 'a', 'good'), 'x');
      if (process.platform === 'linux')
        await writeFile(Buffer.from([...Buffer.from(join(root, 'a/')), 0xff, 0xfe]), 'x');
      expect((await collect(store.list(''))).map(({ path }) => path)).toEqual(['a/good']);
      await store.prune('a/');
      expect(await readdir(join(root, 'a'))).toContain('back\\slash');
    });

    it('is a folder where a file is put, or a file where a folder is needed: Exists', async () => {
      await store.put('folder/file', bodyOf('x'));
      for (const path of ['folder', 'folder/file/below', 'folder/file/far/below']) {
        const body = bodyOf('y');
        await expect(store.put(path, body)).rejects.toBeInstanceOf(Exists);
        expect(body.readableDidRead).toBe(false);
      }
      const late = async () => writeFile(join(root, 'late'), 'x');
      await expect(store.put('late/file', bodyOf('y'), { publish: late })).rejects.toBeInstanceOf(Exists);
      expect(await filesBelow(root)).toEqual(['folder/file', 'late']);
    });
  });

  describe('put', () => {
    it('lets exactly one of many win a path, with whole content', async () => {
      const other = await openFilesystemStore({ root, random: () => `other-${random()}`, create: false, reach });
      for (let round = 0; round < 10; round += 1) {
        const path = `round/${String(round)}/contested`;
        const contents = Array.from({ length: 12 }, (_, index) => Buffer.alloc(300_000 + index, index));
        const outcomes = await Promise.allSettled(
          contents.map(async (content, index) => (index % 2 === 0 ? store : other).put(path, slices(content))),
        );
        const won = outcomes.flatMap((outcome, index) => (outcome.status === 'fulfilled' ? [index] : []));
        expect(won).toHaveLength(1);
        for (const outcome of outcomes)
          if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(Exists);
        expect((await readFile(join(root, path))).equals(contents[won[0] ?? -1] ?? Buffer.from('none'))).toBe(true);
      }
      expect(await filesBelow(join(root, '.lethe'))).toEqual([]);
    });

    it('keeps nothing of a failure, neither files nor folders that it made', async () => {
      const refusal = new Error('refused');
      await expect(store.put('new/folder/a', failing(refusal))).rejects.toBe(refusal);
      await expect(store.put('new/folder/a', bodyOf('x'), { publish: () => Promise.reject(refusal) })).rejects.toBe(
        refusal,
      );
      const control = new AbortController();
      const body = stalling();
      const put = store.put('new/folder/a', body, { signal: control.signal });
      await body.asked;
      expect(await filesBelow(join(root, '.lethe', 'tmp'))).toHaveLength(1);
      control.abort(refusal);
      await expect(put).rejects.toBe(refusal);
      expect(await everythingBelow(root)).toEqual(['.lethe', '.lethe/tmp']);
    });

    it('keeps nothing where it is stopped while publish is asked', async () => {
      const control = new AbortController();
      const reason = new Error('stopping');
      const publish = async () => control.abort(reason);
      await expect(store.put('new/a', bodyOf('x'), { publish, signal: control.signal })).rejects.toBe(reason);
      expect(await everythingBelow(root)).toEqual(['.lethe', '.lethe/tmp']);
    });

    it('has every byte on disk, and no name, when it asks publish', async () => {
      const publish = async () => {
        expect(await everythingBelow(root)).toEqual([
          '.lethe',
          '.lethe/tmp',
          expect.stringMatching(/^\.lethe\/tmp\/./),
        ]);
        const [unfinished] = await filesBelow(root);
        expect(await readFile(join(root, unfinished ?? ''), 'utf8')).toBe('complete');
      };
      await store.put('a/b', bodyOf('comp', 'lete'), { publish });
      expect(await filesBelow(root)).toEqual(['a/b']);
    });

    it('syncs the file, its folder, and each folder above, before it answers', async () => {
      const synced = await spyOnSync(root);
      await store.put('a/b/c', bodyOf('x'));
      const inodes = await Promise.all(
        ['a/b/c', '', 'a', 'a/b'].map(async (path) => (await stat(join(root, path))).ino),
      );
      expect(synced.inodes).toEqual(inodes);
    });

    it('takes back a file whose folder could not be synced', async () => {
      const synced = await spyOnSync(root);
      synced.fail = ({ inode, times }) => inode === statSync(root).ino && times === 1;
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(Unavailable);
      expect(await filesBelow(root)).toEqual([]);
    });

    it('takes nothing back but its own', async () => {
      const synced = await spyOnSync(root);
      synced.fail = ({ inode, times }) => {
        if (inode !== statSync(root).ino || times > 1) return false;
        unlinkSync(join(root, 'a'));
        writeFileSync(join(root, 'a'), 'theirs');
        return true;
      };
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(Unavailable);
      expect(await readFile(join(root, 'a'), 'utf8')).toBe('theirs');
    });

    it('makes its folder again where that is pruned at the last moment', async () => {
      const synced = await spyOnSync(root);
      let pruned = 0;
      synced.fail = ({ inode }) => {
        // Synced into the root is the folder `a`, which the put has open by then.
        if (inode !== statSync(root).ino || pruned >= 3) return false;
        rmdirSync(join(root, 'a'));
        pruned += 1;
        return false;
      };
      await store.put('a/b', bodyOf('x'));
      expect(pruned).toBe(3);
      expect(await filesBelow(root)).toEqual(['a/b']);
    });

    it('says that it does not know, where the file could not be taken back either', async () => {
      const synced = await spyOnSync(root);
      synced.fail = ({ inode }) => inode === statSync(root).ino;
      await expect(store.put('a', bodyOf('x'))).rejects.toBeInstanceOf(OutcomeUnknown);
    });

    it('says Full when the disk is (simulated), and keeps nothing', async () => {
      const proto = await fileHandlePrototype(root);
      let chunks = 0;
      vi.spyOn(proto, 'appendFile').mockImplementation(() => {
        chunks += 1;
        return chunks < 3 ? Promise.resolve() : Promise.reject(systemError('ENOSPC', -28, 'write'));
      });
      const error = await store.put('new/a', slices(pattern(MIB))).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(Full);
      expect(String(error)).toMatch(/"new\/a": ENOSPC \(no space left on device\)/);
      expect(String(error)).not.toContain(root);
      expect(await filesBelow(root)).toEqual([]);
    });

    it('refuses the places where it works itself', async () => {
      for (const path of ['.lethe', '.lethe/tmp', '.lethe/tmp/x']) {
        await expect(store.put(path, bodyOf('x'))).rejects.toBeInstanceOf(InvalidPath);
      }
    });

    it('leaves the uploads of others alone, and takes another name where one is taken', async () => {
      await mkdir(join(root, '.lethe', 'tmp'), { recursive: true });
      await writeFile(join(root, '.lethe', 'tmp', 'one'), 'unfinished');
      const names = ['one', 'one', 'two'];
      const other = await openFilesystemStore({ root, random: () => names.shift() ?? 'none', create: true, reach });
      await other.put('a', bodyOf('x'));
      expect(await filesBelow(root)).toEqual(['.lethe/tmp/one', 'a']);
      expect((await collect(store.list('.lethe/'))).map(({ path }) => path)).toEqual(['.lethe/tmp/one']);
      const stuck = await openFilesystemStore({ root, random: () => 'one', create: true, reach });
      await expect(stuck.put('b', bodyOf('x'))).rejects.toBeInstanceOf(Unavailable);
    });

    it('takes text as UTF-8, and refuses a body of anything else', async () => {
      await store.put('text', Readable.from(['Grü', 'ße']));
      expect(await readFile(join(root, 'text'), 'utf8')).toBe('Grüße');
      await expect(store.put('numbers', Readable.from([1, 2]))).rejects.toBeInstanceOf(TypeError);
      expect(await filesBelow(root)).toEqual(['text']);
    });

    it('holds a few chunks of a large body, not the body', async () => {
      const size = 300;
      const before = process.memoryUsage();
      const peak = { ahead: 0, rss: 0, external: 0 };
      let given = 0;
      const chunks = function* () {
        for (; given < size; given += 1) {
          const { rss, external } = process.memoryUsage();
          peak.rss = Math.max(peak.rss, rss - before.rss);
          peak.external = Math.max(peak.external, external - before.external);
          peak.ahead = Math.max(peak.ahead, given * MIB - bytesUnfinished(root));
          yield Buffer.alloc(MIB, given); // a new one each time: what is held shows
        }
      };
      const seen = await store.put('large', Readable.from(chunks(), { objectMode: false }));
      expect(seen.size).toBe(size * MIB);
      // One chunk being written, and what the stream reads ahead (64 KiB, so one chunk): the true measure of backpressure.
      expect(peak.ahead).toBeLessThanOrEqual(4 * MIB);
      // The collector frees written chunks when it likes; a third of the body is far more than it leaves, and far less than holding it.
      expect(peak.external).toBeLessThan(100 * MIB);
      expect(peak.rss).toBeLessThan(150 * MIB);
    });
  });

  describe('get', () => {
    it('reads on when asked, not ahead', async () => {
      await writeFile(join(root, 'large'), '');
      await truncate(join(root, 'large'), 300 * MIB);
      const found = await store.get('large');
      if (found === null) throw new Error('nothing there');
      let read = 0;
      for await (const chunk of found.body) {
        read += Buffer.byteLength(chunk);
        expect(found.body.readableLength).toBeLessThanOrEqual(MIB);
      }
      expect(read).toBe(300 * MIB);
    });

    it('ends where the file ended when it was opened', async () => {
      await writeFile(join(root, 'grows'), 'before');
      const found = await store.get('grows');
      await writeFile(join(root, 'grows'), 'before and after');
      expect(found === null ? null : (await buffer(found.body)).toString()).toBe('before');
    });

    it('fails where the file is cut short meanwhile: never a short answer', async () => {
      await writeFile(join(root, 'shrinks'), pattern(MIB));
      const found = await store.get('shrinks');
      await truncate(join(root, 'shrinks'), 1_000);
      await expect(found === null ? null : buffer(found.body)).rejects.toBeInstanceOf(Unavailable);
    });

    it('closes its file however it ends', async () => {
      await writeFile(join(root, 'a'), pattern(MIB));
      const before = openFiles();
      for (let round = 0; round < 5; round += 1) {
        const ends: ((body: Readable) => Promise<unknown>)[] = [
          async (body) => buffer(body),
          async (body) => new Promise((resolve) => body.once('close', resolve).destroy()),
          async (body) =>
            new Promise((resolve) => {
              body.once('error', () => undefined);
              body.once('close', resolve).destroy(new Error('the client went away'));
            }),
        ];
        for (const end of ends) {
          const found = await store.get('a');
          if (found !== null) await end(found.body);
        }
        await store.get('missing');
        await collect(store.list(''));
        await store.stat('a/b/c');
      }
      expect(openFiles()).toBe(before);
    });

    it('takes no nonsense for a range', async () => {
      await writeFile(join(root, 'a'), 'abc');
      for (const range of [
        { start: -1, end: 1 },
        { start: 2, end: 1 },
        { start: 0.5, end: 1 },
        { start: 0, end: NaN },
      ]) {
        await expect(store.get('a', range)).rejects.toBeInstanceOf(RangeError);
      }
    });
  });

  describe('delete', () => {
    it('leaves a file that was changed in place', async () => {
      const seen = await store.put('a', bodyOf('one'));
      await writeFile(join(root, 'a'), 'two');
      expect(await store.delete('a', seen)).toBe('changed');
      expect(await readFile(join(root, 'a'), 'utf8')).toBe('two');
    });

    it('leaves a file that another replaced by renaming, of the same size and time', async () => {
      const seen = await store.put('a', bodyOf('one'));
      const { atime, mtime } = await stat(join(root, 'a'));
      await writeFile(join(root, 'b'), 'two');
      await utimes(join(root, 'b'), atime, mtime);
      await rename(join(root, 'b'), join(root, 'a'));
      expect(await store.delete('a', seen)).toBe('changed');
      expect(await filesBelow(root)).toEqual(['a']);
    });

    it('is not misled by other rights or another link to the file', async () => {
      const seen = await store.put('a', bodyOf('one'));
      await chmod(join(root, 'a'), 0o400);
      await link(join(root, 'a'), join(root, 'backup'));
      expect(await store.stat('a')).toEqual(seen);
      expect(await store.delete('a', seen)).toBe('deleted');
      expect(await filesBelow(root)).toEqual(['backup']);
    });

    it('leaves a folder that took the place of a file', async () => {
      const seen = await store.put('a', bodyOf('one'));
      await unlink(join(root, 'a'));
      await mkdir(join(root, 'a'));
      expect(await store.delete('a', seen)).toBe('missing');
      expect((await lstat(join(root, 'a'))).isDirectory()).toBe(true);
    });

    it('syncs the folder, also where the file is missing: whoever deleted it may have died before', async () => {
      const seen = await store.put('a/b', bodyOf('one'));
      const synced = await spyOnSync(root);
      const folder = (await stat(join(root, 'a'))).ino;
      expect([await store.delete('a/b', seen), synced.inodes]).toEqual(['deleted', [folder]]);
      expect([await store.delete('a/b', seen), synced.inodes]).toEqual(['missing', [folder, folder]]);
    });
  });

  describe('prune', () => {
    it('removes empty folders from below, the folder itself too, and nothing beside it', async () => {
      for (const folder of ['a/b/c/d', 'a/e', 'ab', 'f/a']) await mkdir(join(root, folder), { recursive: true });
      await store.prune('a/');
      expect(await everythingBelow(root)).toEqual(['ab', 'f', 'f/a']);
      await store.prune('f/a/');
      expect(await everythingBelow(root)).toEqual(['ab', 'f']);
    });

    it('leaves the way to a file, and a file of that name', async () => {
      for (const folder of ['a/b/c', 'a/d/e']) await mkdir(join(root, folder), { recursive: true });
      await writeFile(join(root, 'a/d/file'), 'x');
      await store.prune('a/');
      expect(await everythingBelow(root)).toEqual(['a', 'a/d', 'a/d/file']);
      await store.prune('a/d/file/');
      expect(await filesBelow(root)).toEqual(['a/d/file']);
    });
  });

  describe('the root', () => {
    it('is made, with what is above it, if that is asked for', async () => {
      const made = await openFilesystemStore({ root: join(base, 'x', 'y', 'z'), random, create: true, reach });
      await made.put('a', bodyOf('x'));
      expect(await filesBelow(join(base, 'x'))).toEqual(['y/z/a']);
      const file = join(root, 'file');
      await writeFile(file, 'x');
      await expect(openFilesystemStore({ root: file, random, create: true, reach })).rejects.toBeInstanceOf(
        Unavailable,
      );
    });

    it.each([true, false])(
      'is Unavailable while it is missing, and works when it is back (create: %j)',
      async (create) => {
        const disk = await openFilesystemStore({ root, random, create, reach });
        const seen = await disk.put('a', bodyOf('x'));
        await rename(root, join(base, 'unplugged'));
        for (const call of [
          async () => disk.put('b', bodyOf('x')),
          async () => disk.get('a'),
          async () => disk.stat('a'),
          async () => disk.delete('a', seen),
          async () => disk.prune('a/'),
          async () => collect(disk.list('')),
        ]) {
          await expect(call()).rejects.toBeInstanceOf(Unavailable);
        }
        await expect(lstat(root)).rejects.toThrow('ENOENT');
        await rename(join(base, 'unplugged'), root);
        expect(await disk.stat('a')).toEqual(seen);
        await disk.put('b', bodyOf('x'));
        expect(await filesBelow(root)).toEqual(['a', 'b']);
      },
    );

    it('may be missing at the start', async () => {
      const disk = await openFilesystemStore({ root: join(base, 'later'), random, create: false, reach });
      await expect(disk.stat('a')).rejects.toThrow(/later/);
      await mkdir(join(base, 'later'));
      expect(await disk.stat('a')).toBeNull();
    });

    const rootUser = process.getuid?.() === 0;
    // Rights do not bind the user root.
    it.skipIf(rootUser)('that may not be written is Unavailable [needs ordinary-user]', async () => {
      await writeFile(join(root, 'a'), 'x');
      await chmod(root, 0o555);
      await expect(store.put('b', bodyOf('x'))).rejects.toThrow(/"b": EACCES/);
      await expect(store.delete('a', await looked('a'))).rejects.toThrow(/"a": EACCES/);
      await chmod(root, 0o755);
    });
  });

  const mountable = canMount();
  describe.skipIf(!mountable)('a small disk of its own [needs mount]', () => {
    const mounted: string[] = [];

    beforeEach(() => {
      expect(mounted).toEqual([]);
    });

    afterEach(() => {
      for (const folder of mounted.splice(0)) execFileSync('umount', [folder]);
    });

    it('is Full when no byte fits any more; it keeps nothing, and works on when there is room', async () => {
      mount('size=2m');
      const first = await store.put('first', slices(pattern(MIB)));
      await expect(store.put('new/second', slices(pattern(2 * MIB)))).rejects.toBeInstanceOf(Full);
      expect(await filesBelow(root)).toEqual(['first']);
      await store.delete('first', first);
      await store.put('new/second', slices(pattern(MIB)));
      expect(await filesBelow(root)).toEqual(['new/second']);
    });

    it('is Full when no folder fits any more, and keeps none of those that it made', async () => {
      // Inodes: the root, .lethe, tmp, the unfinished file, and two more.
      mount('size=2m,nr_inodes=6');
      await expect(store.put('a/b/c/d/e/f', bodyOf('x'))).rejects.toBeInstanceOf(Full);
      expect(await everythingBelow(root)).toEqual(['.lethe', '.lethe/tmp']);
    });

    it('is Unavailable for writing when it is read-only, and readable all the same', async () => {
      mount('size=2m');
      const seen = await store.put('a/b', bodyOf('x'));
      execFileSync('mount', ['-o', 'remount,ro', root]);
      await expect(store.put('c', bodyOf('x'))).rejects.toThrow(Unavailable);
      await expect(store.put('c', bodyOf('x'))).rejects.toThrow(/"c": EROFS/);
      await expect(store.delete('a/b', seen)).rejects.toThrow(/"a\/b": EROFS/);
      await expect(store.prune('a/'))
        .rejects.toThrow(/EROFS|ENOTEMPTY/)
        .catch(() => undefined);
      expect(await store.stat('a/b')).toEqual(seen);
      expect(await collect(store.list(''))).toEqual([{ path: 'a/b', ...seen }]);
      const found = await store.get('a/b');
      expect(found === null ? null : (await buffer(found.body)).toString()).toBe('x');
    });

    it('is Unavailable where a folder of it is another file system', async () => {
      await mkdir(join(root, 'other'));
      mount('size=2m', join(root, 'other'));
      await expect(store.put('other/a', bodyOf('x'))).rejects.toThrow(/EXDEV/);
      expect(await filesBelow(root)).toEqual([]);
    });

    function mount(options: string, folder = root): void {
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder]);
      mounted.push(folder);
    }
  });

  it('lists whatever lies there in the order of a plain model', async () => {
    const name = fc
      .string({
        unit: fc.constantFrom('a', 'b', '!', '-', '.', '0', 'A', '~', 'é', '\ufb01', '\u{1f642}', '\uffff'),
        minLength: 1,
        maxLength: 3,
      })
      .filter((text) => text !== '.' && text !== '..');
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((names) => names.join('/'));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(path, { maxLength: 25 }),
        fc.array(name, { maxLength: 2 }),
        async (wanted, folder) => {
          const place = join(root, String((round += 1)));
          const here = await openFilesystemStore({ root: place, random, create: true, reach });
          const model: string[] = [];
          for (const file of wanted) {
            if (model.some((other) => other.startsWith(`${file}/`) || file.startsWith(`${other}/`))) continue;
            await mkdir(dirname(join(place, file)), { recursive: true });
            await writeFile(join(place, file), 'x');
            model.push(file);
          }
          model.sort(byCodePoints);
          const prefix = folder.map((part) => `${part}/`).join('');
          expect((await collect(here.list(''))).map((object) => object.path)).toEqual(model);
          expect((await collect(here.list(prefix))).map((object) => object.path)).toEqual(
            model.filter((file) => file.startsWith(prefix)),
          );
        },
      ),
      { numRuns: 150 },
    );
  });

  async function looked(path: string): Promise<SeenFile> {
    return (await store.stat(path)) ?? SOME_FILE;
  }
});

const SOME_FILE: SeenFile = { etag: 'x', size: 1, modifiedAt: '2026-01-01T00:00:00.000Z', versions: null };

/** By the numbers of their code points, spelt out. */
function byCodePoints(one: string, other: string): number {
  const [left, right] = [one, other].map((text) => Array.from(text, (character) => character.codePointAt(0) ?? 0));
  for (const [at, point] of (left ?? []).entries()) {
    const against = right?.[at];
    if (against === undefined) return 1;
    if (point !== against) return point - against;
  }
  return (left?.length ?? 0) - (right?.length ?? 0);
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

function slices(content: Buffer): Readable {
  const chunks = function* () {
    for (let at = 0; at < content.length; at += 50_000) yield content.subarray(at, at + 50_000);
  };
  return Readable.from(chunks(), { objectMode: false });
}

async function readOrNull(path: string): Promise<Buffer | null> {
  try {
    return await readFile(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
    throw error;
  }
}

/** Whatever is no folder, links not followed, sorted. */
async function filesBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  return found
    .flatMap((entry) => (entry.isDirectory() ? [] : [relative(folder, join(entry.parentPath, entry.name))]))
    .sort();
}

async function everythingBelow(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}

function etagOf({ ino, size, mtimeNs }: { ino: bigint; size: bigint; mtimeNs: bigint }): string {
  return [ino, size, mtimeNs].map((part) => part.toString(16)).join('-');
}

function bytesUnfinished(root: string): number {
  const folder = join(root, '.lethe', 'tmp');
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** How many files this process has open; 0 where the system does not say. */
function openFiles(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

/** Of every `FileHandle`: the one place where a disk's failure can be put on for show. */
interface HandlePrototype {
  sync: (this: unknown) => Promise<void>;
  stat: (this: unknown) => Promise<{ ino: number }>;
  appendFile: () => Promise<void>;
}

async function fileHandlePrototype(path: string): Promise<HandlePrototype> {
  const handle = await open(path);
  await handle.close();
  return Object.getPrototypeOf(handle);
}

/** Every fsync from now on, by the inode that it was for; `fail` says which are to fail. */
async function spyOnSync(path: string) {
  const proto = await fileHandlePrototype(path);
  const { sync } = proto;
  const synced = { inodes: [] as number[], fail: (_: { inode: number; times: number }) => false };
  vi.spyOn(proto, 'sync').mockImplementation(async function (this: unknown) {
    const { ino } = await proto.stat.call(this);
    synced.inodes.push(ino);
    if (synced.fail({ inode: ino, times: synced.inodes.filter((other) => other === ino).length })) {
      throw systemError('EIO', -5, 'fsync');
    }
    await sync.call(this);
  });
  return synced;
}

function systemError(code: string, errno: number, syscall: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${syscall}`), { code, errno, syscall });
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  try {
    // In a namespace of its own: nothing to clean up.
    execFileSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmpdir()], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  }
}

import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Exists, InvalidPath } from '../../src/storage/errors.js';
import type { ObjectStore, SeenFile, SeenObject } from '../../src/storage/object-store/port.js';

/** An empty store, and a way to act on what it stores behind its back. */
export interface OpenedObjectStore {
  readonly store: ObjectStore;
  readonly outside: {
    /** Puts `content` at `path`, over whatever is there, as another program would. */
    write(path: string, content: Buffer): Promise<void>;
    remove(path: string): Promise<void>;
    read(path: string): Promise<Buffer | null>;
    /** The paths of all that is stored, also below `.lethe/`, also what is unfinished, in any order. */
    list(): Promise<string[]>;
  };
  cleanup(): Promise<void>;
}

/** What no store takes as the path of one file, and what its error has to say of it. */
const INVALID_FILES: readonly (readonly [what: string, path: string, says: RegExp])[] = [
  ['an empty path', '', /empty/],
  ['an absolute path', '/a', /begins with "\/"/],
  ['a part "."', 'a/./b', /part "\."/],
  ['a part ".."', 'a/../../b', /part "\.\."/],
  ['".." alone', '..', /part "\.\."/],
  ['an empty part', 'a//b', /empty part/],
  ['a folder', 'a/', /folder/],
  ['a NUL', 'a\u0000b', /control character/],
  ['a line feed', 'a\nb', /control character/],
  ['a DEL', 'a\u007fb', /control character/],
  ['a backslash', 'a\\..\\b', /backslash/],
  ['a part of 256 bytes', `a/${'é'.repeat(128)}`, /256 bytes/],
  ['1,025 bytes in all', `${'a/'.repeat(512)}b`, /1025 bytes/],
  ['half a surrogate pair', 'a\ud83d', /not well-formed/],
];

/** What looks unusual and is a path all the same. */
const UNUSUAL_FILES = [
  ' ',
  'a b',
  '...',
  '..a/.b',
  'per%20cent/%2e%2e/x',
  'a+b#c?d=e&f',
  `quote'"\``,
  'Grüße/日本語/🙂.parquet',
  `${'x'.repeat(255)}/${'é'.repeat(127)}y`,
  '~/x',
  'a:b*c|<d>',
];

/**
 * The promises of the port, each by name. One store is opened for each test and cleaned up after it. What only one adapter can promise, or be
 * asked, stands in that adapter's own tests.
 */
export function objectStoreContract(name: string, open: () => Promise<OpenedObjectStore>): void {
  describe(`${name}: the object store's contract`, () => {
    let opened: OpenedObjectStore;
    let store: ObjectStore;
    let outside: OpenedObjectStore['outside'];

    beforeEach(async () => {
      opened = await open();
      ({ store, outside } = opened);
    });

    afterEach(async () => {
      await store.close();
      await opened.cleanup();
    });

    describe('put', () => {
      it('stores the bytes, and answers what a later look sees', async () => {
        const seen = await store.put('sales/2026.parquet', bodyOf('hello'));
        expect(seen.size).toBe(5);
        expect(seen.modifiedAt).toMatch(RFC3339);
        expect(await store.stat('sales/2026.parquet')).toEqual(seen);
        expect(await outside.read('sales/2026.parquet')).toEqual(Buffer.from('hello'));
        expect(await outside.list()).toEqual(['sales/2026.parquet']);
      });

      it('stores an empty file', async () => {
        expect((await store.put('empty', bodyOf())).size).toBe(0);
        expect(await outside.read('empty')).toEqual(Buffer.alloc(0));
      });

      it('stores a body of many uneven chunks whole and in order', async () => {
        const chunks = Array.from({ length: 60 }, (_, index) => Buffer.alloc(index * 1_013 + 1, index));
        const seen = await store.put('chunks', bodyOf(...chunks));
        const whole = Buffer.concat(chunks);
        expect(seen.size).toBe(whole.length);
        expect((await outside.read('chunks'))?.equals(whole)).toBe(true);
      });

      it('stores below .lethe/ as anywhere else', async () => {
        await store.put('.lethe/heBmDcUZSbbsRR6dMz2r-1.parquet', bodyOf('virtual'));
        expect(await contentOf('.lethe/heBmDcUZSbbsRR6dMz2r-1.parquet')).toBe('virtual');
      });

      it.each(UNUSUAL_FILES)('takes the unusual path %j, and finds it again everywhere', async (path) => {
        const seen = await store.put(path, bodyOf('here'));
        expect(await store.stat(path)).toEqual(seen);
        expect(await contentOf(path)).toBe('here');
        expect(await outside.list()).toEqual([path]);
        expect(await listed('')).toEqual([{ path, ...seen }]);
        expect(await store.delete(path, seen)).toBe('deleted');
        expect(await outside.list()).toEqual([]);
      });

      it('never overwrites what it stored itself', async () => {
        const first = await store.put('taken', bodyOf('first'));
        await expect(store.put('taken', bodyOf('second'))).rejects.toBeInstanceOf(Exists);
        expect(await store.stat('taken')).toEqual(first);
        expect(await outside.read('taken')).toEqual(Buffer.from('first'));
        expect(await outside.list()).toEqual(['taken']);
      });

      it('never overwrites what somebody else stored, also while the body was on its way', async () => {
        const late = async () => outside.write('taken', Buffer.from('theirs'));
        await expect(store.put('taken', bodyOf('ours'), { publish: late })).rejects.toBeInstanceOf(Exists);
        expect(await outside.read('taken')).toEqual(Buffer.from('theirs'));
        expect(await outside.list()).toEqual(['taken']);
      });

      it('keeps two puts to different paths of one new folder apart', async () => {
        const paths = Array.from({ length: 12 }, (_, index) => `new/folder/${String(index % 3)}/${String(index)}`);
        await Promise.all(paths.map(async (path) => store.put(path, bodyOf(path))));
        for (const path of paths) expect(await contentOf(path)).toBe(path);
        expect((await outside.list()).sort()).toEqual(paths.sort());
      });

      it('asks publish once, when all bytes are in and none is visible', async () => {
        let read = 0;
        const chunks = function* () {
          for (; read < 5; read += 1) yield Buffer.from(String(read));
        };
        const asked: unknown[] = [];
        const publish = async () => {
          asked.push([read, await store.stat('a/b'), await outside.read('a/b'), await listed('')]);
        };
        await store.put('a/b', Readable.from(chunks()), { publish });
        expect(asked).toEqual([[5, null, null, []]]);
        expect(await contentOf('a/b')).toBe('01234');
      });

      it('leaves nothing where publish throws, and gives its error back', async () => {
        const refusal = new Error('the record was purged meanwhile');
        const publish = () => Promise.reject(refusal);
        await expect(store.put('a/b', bodyOf('x'), { publish })).rejects.toBe(refusal);
        expect(await outside.list()).toEqual([]);
        await store.put('a/b', bodyOf('the path is free'));
      });

      it('leaves nothing where the body fails half way, and gives its error back', async () => {
        const lost = Object.assign(new Error('connection lost'), { code: 'ECONNRESET' });
        let asked = false;
        const publish = async () => {
          asked = true;
        };
        await expect(store.put('a/b', failing(lost), { publish })).rejects.toBe(lost);
        expect(asked).toBe(false);
        expect(await outside.list()).toEqual([]);
        await store.put('a/b', bodyOf('the path is free'));
      });

      it('leaves nothing where the body is destroyed without a word', async () => {
        const body = stalling();
        const put = store.put('a/b', body);
        await body.asked;
        body.destroy();
        await expect(put).rejects.toThrow();
        expect(await outside.list()).toEqual([]);
      });

      it('leaves nothing where the body had failed before', async () => {
        const body = failing(new Error('too late'));
        body.once('error', () => undefined);
        body.destroy(new Error('too late'));
        await expect(store.put('a/b', body)).rejects.toThrow();
        expect(await outside.list()).toEqual([]);
      });

      it('leaves nothing where the body fails before it is read, and gives its error back', async () => {
        const lost = new Error('connection lost');
        const body = failing(new Error('never read'));
        const put = store.put('a/b', body);
        body.destroy(lost);
        await expect(put).rejects.toBe(lost);
        expect(await outside.list()).toEqual([]);
      });

      it('stops at once when its signal says so, gives the reason back and leaves nothing', async () => {
        const control = new AbortController();
        const reason = new Error('the client went away');
        const body = stalling();
        const put = store.put('a/b', body, { signal: control.signal });
        await body.asked;
        control.abort(reason);
        await expect(put).rejects.toBe(reason);
        expect(await outside.list()).toEqual([]);
      });

      it('does not begin when its signal has spoken before', async () => {
        const reason = new Error('stopping');
        const body = bodyOf('x');
        await expect(store.put('a/b', body, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
        expect(body.readableDidRead).toBe(false);
        expect(await outside.list()).toEqual([]);
      });

      it('destroys a body that it does not read to its end', async () => {
        await store.put('taken', bodyOf('first'));
        const refused = bodyOf('second');
        await expect(store.put('taken', refused)).rejects.toBeInstanceOf(Exists);
        expect(refused.destroyed).toBe(true);
        const invalid = bodyOf('third');
        await expect(store.put('../x', invalid)).rejects.toBeInstanceOf(InvalidPath);
        expect(invalid.destroyed).toBe(true);
      });
    });

    describe('paths', () => {
      const seen: SeenFile = { etag: 'x', size: 1, modifiedAt: '2026-01-01T00:00:00.000Z', versions: null };

      it.each(INVALID_FILES)('refuses %s as a file, and touches nothing', async (_, path, says) => {
        for (const call of [
          async () => store.put(path, bodyOf('x')),
          async () => store.get(path),
          async () => store.stat(path),
          async () => store.delete(path, seen),
        ]) {
          const error = await call().catch((thrown: unknown) => thrown);
          expect(error).toBeInstanceOf(InvalidPath);
          expect(String(error)).toMatch(says);
        }
        expect(await outside.list()).toEqual([]);
      });

      it.each([
        ...INVALID_FILES.filter(([, path]) => path !== '' && path !== 'a/').map(([, path]) => `${path}/`),
        'a',
        '/',
      ])('refuses %j as a folder', async (path) => {
        await expect(listed(path)).rejects.toBeInstanceOf(InvalidPath);
        await expect(store.prune(path)).rejects.toBeInstanceOf(InvalidPath);
      });

      it('never removes the root itself', async () => {
        await expect(store.prune('')).rejects.toBeInstanceOf(InvalidPath);
      });
    });

    describe('get', () => {
      it('answers null where nothing is', async () => {
        await outside.write('folder/file', Buffer.from('x'));
        expect(await store.get('missing')).toBeNull();
        expect(await store.get('missing/too')).toBeNull();
        expect(await store.get('folder')).toBeNull();
      });

      it('gives the whole file, and what it saw of it', async () => {
        const content = pattern(300_000);
        await outside.write('a/b', content);
        const found = await got('a/b');
        expect(found.seen).toEqual(await store.stat('a/b'));
        expect(found.seen.size).toBe(300_000);
        expect((await buffer(found.body)).equals(content)).toBe(true);
      });

      it('gives an empty file', async () => {
        await store.put('empty', bodyOf());
        expect(await buffer((await got('empty')).body)).toEqual(Buffer.alloc(0));
      });

      it.each([
        [0, 0],
        [0, 199_999],
        [199_999, 199_999],
        [65_535, 65_536],
        [70_000, 150_000],
      ])('gives the range from %i to %i, both included', async (start, end) => {
        const content = pattern(200_000);
        await outside.write('ranges', content);
        const { seen, body } = await got('ranges', { start, end });
        expect(seen).toEqual(await store.stat('ranges'));
        expect((await buffer(body)).equals(content.subarray(start, end + 1))).toBe(true);
      });

      it('says what lies there, and gives nothing, where that ends before the range', async () => {
        await outside.write('short', Buffer.from('abc'));
        for (const range of [
          { start: 3, end: 3 },
          { start: 1_000_000, end: 2_000_000 },
        ]) {
          const { seen, body } = await got('short', range);
          expect(seen).toEqual(await store.stat('short'));
          expect(await buffer(body)).toHaveLength(0);
        }
      });

      it('gives the bytes of the very file that it described, also when another takes its place', async () => {
        const content = pattern(1_000_000);
        await outside.write('a', content);
        const { seen, body } = await got('a');
        await outside.remove('a');
        await outside.write('a', Buffer.from('another'));
        expect((await buffer(body)).equals(content)).toBe(true);
        expect((await store.stat('a'))?.etag).not.toBe(seen.etag);
      });

      it('can be left half read', async () => {
        await outside.write('a', pattern(1_000_000));
        const { body } = await got('a');
        for await (const chunk of body) {
          expect(chunk).toBeInstanceOf(Buffer);
          break;
        }
        expect(body.destroyed).toBe(true);
        const unread = (await got('a')).body;
        unread.destroy();
        await closed(unread);
      });

      it('stops when its signal says so', async () => {
        await outside.write('a', pattern(1_000_000));
        await expect(store.get('a', undefined, AbortSignal.abort(new Error('stopping')))).rejects.toThrow('stopping');
        const control = new AbortController();
        const found = await store.get('a', undefined, control.signal);
        control.abort(new Error('the client went away'));
        // Also where nobody listened yet.
        if (found !== null) await closed(found.body);
        await expect(found === null ? null : buffer(found.body)).rejects.toThrow();
      });
    });

    describe('stat', () => {
      it('answers null where nothing is', async () => {
        await outside.write('folder/file', Buffer.from('x'));
        for (const path of ['missing', 'missing/too', 'folder', 'folder/file/deeper'])
          expect(await store.stat(path)).toBeNull();
      });

      it('says the same as long as the file stays, and something else of every other file there', async () => {
        await outside.write('a', Buffer.from('one'));
        const one = await store.stat('a');
        expect(one).toMatchObject({ size: 3, modifiedAt: expect.stringMatching(RFC3339) });
        expect(await store.stat('a')).toEqual(one);
        await outside.remove('a');
        await outside.write('a', Buffer.from('two'));
        expect((await store.stat('a'))?.etag).not.toBe(one?.etag);
      });
    });

    describe('list', () => {
      it('is empty where nothing is', async () => {
        expect(await listed('')).toEqual([]);
        expect(await listed('missing/')).toEqual([]);
        expect(await listed('.lethe/')).toEqual([]);
      });

      it('gives each object below the folder, as stat sees it, and none beside it', async () => {
        for (const path of ['a/1', 'a/b/2', 'a/b/c/3', 'ab', 'ab-4', 'a-b', 'A/1', 'b/a/1']) {
          await outside.write(path, Buffer.from(path));
        }
        const objects = await listed('a/');
        expect(objects.map(({ path }) => path)).toEqual(['a/1', 'a/b/2', 'a/b/c/3']);
        for (const { path, ...seen } of objects) expect(seen).toEqual(await store.stat(path));
        expect(await paths('a/b/')).toEqual(['a/b/2', 'a/b/c/3']);
        expect(await paths('a/1/')).toEqual([]);
      });

      it('is in the order of code points of the whole path', async () => {
        const sorted = [
          'A/z',
          'a!/x',
          'a-b',
          'a.b/c',
          'a/!',
          'a/b',
          'a/b!',
          'a/b-',
          'a0',
          'aa/b',
          'a\u00e9',
          'a\ufb01/1', // in UTF-16 this sorts after the next
          'a\u{1f642}/1',
          'a\u{1f642}x',
          'z',
        ];
        for (const path of sorted.toReversed()) await outside.write(path, Buffer.from('x'));
        expect(await paths('')).toEqual(sorted);
      });

      it('leaves out what lies below .lethe/, unless it is asked for', async () => {
        for (const path of ['.lethe/a', '.lethe/b/c', '.lethe-not', 'x/.lethe/y', 'x/a.lethe/c', 'z'])
          await outside.write(path, Buffer.from('x'));
        expect(await paths('')).toEqual(['.lethe-not', 'x/a.lethe/c', 'z']);
        expect(await paths('x/')).toEqual(['x/a.lethe/c']);
        expect(await paths('x/.lethe/')).toEqual(['x/.lethe/y']);
        expect(await paths('.lethe/')).toEqual(['.lethe/a', '.lethe/b/c']);
        expect(await paths('.lethe/b/')).toEqual(['.lethe/b/c']);
      });

      it('goes on over more objects than one page of any store has', async () => {
        const many = Array.from({ length: 1_200 }, (_, index) => `many/${String(index).padStart(5, '0')}`);
        for (let at = 0; at < many.length; at += 50) {
          await Promise.all(many.slice(at, at + 50).map(async (path) => outside.write(path, Buffer.from('x'))));
        }
        expect(await paths('many/')).toEqual(many);
      });

      it('can be left half way', async () => {
        for (const path of ['a/1', 'a/b/2', 'c']) await outside.write(path, Buffer.from('x'));
        for await (const { path } of store.list('')) {
          expect(path).toBe('a/1');
          break;
        }
      });

      it('stops when its signal says so', async () => {
        for (const path of ['a', 'b', 'c']) await outside.write(path, Buffer.from('x'));
        await expect(listed('', AbortSignal.abort(new Error('stopping')))).rejects.toThrow('stopping');
        const control = new AbortController();
        const seen: string[] = [];
        const listing = async () => {
          for await (const { path } of store.list('', control.signal)) {
            seen.push(path);
            control.abort(new Error('enough'));
          }
        };
        await expect(listing()).rejects.toThrow('enough');
        expect(seen).toEqual(['a']);
      });
    });

    describe('delete', () => {
      it('deletes the file that was seen', async () => {
        const seen = await store.put('a/b', bodyOf('x'));
        expect(await store.delete('a/b', seen)).toBe('deleted');
        expect(await store.stat('a/b')).toBeNull();
        expect(await outside.list()).toEqual([]);
      });

      it('takes what a listing saw, too', async () => {
        await outside.write('a/b', Buffer.from('x'));
        for (const { path, ...seen } of await listed('a/')) expect(await store.delete(path, seen)).toBe('deleted');
        expect(await outside.list()).toEqual([]);
      });

      it('is safe to repeat', async () => {
        const seen = await store.put('a/b', bodyOf('x'));
        await store.delete('a/b', seen);
        expect(await store.delete('a/b', seen)).toBe('missing');
        expect(await store.delete('never/was', seen)).toBe('missing');
      });

      it('leaves a file that took the place of the one that was seen', async () => {
        await outside.write('a', Buffer.from('seen'));
        const seen = await looked('a');
        await outside.remove('a');
        await outside.write('a', Buffer.from('here'));
        expect(await store.delete('a', seen)).toBe('changed');
        expect(await outside.read('a')).toEqual(Buffer.from('here'));
      });

      it('leaves what was put to the same path after a deletion', async () => {
        const first = await store.put('a', bodyOf('first'));
        await store.delete('a', first);
        const second = await store.put('a', bodyOf('again'));
        expect(await store.delete('a', first)).toBe('changed');
        expect(await contentOf('a')).toBe('again');
        expect(await store.delete('a', second)).toBe('deleted');
      });

      it('leaves its neighbours', async () => {
        for (const path of ['a/b', 'a/bc', 'a/b-', 'ab', 'a/B']) await outside.write(path, Buffer.from(path));
        await store.delete('a/b', await looked('a/b'));
        expect((await outside.list()).sort()).toEqual(['a/B', 'a/b-', 'a/bc', 'ab'].sort());
      });

      it('takes many at once for one file, and all find it gone', async () => {
        const seen = await store.put('a', bodyOf('x'));
        const found = await Promise.all(Array.from({ length: 8 }, async () => store.delete('a', seen)));
        expect(found).toContain('deleted');
        expect(found).not.toContain('changed');
        expect(await outside.list()).toEqual([]);
      });
    });

    describe('replace', () => {
      it("writes one of Lethe's own files, new or in the place of another", async () => {
        await store.replace('.lethe/owner', '{"position":"1"}');
        expect(await contentOf('.lethe/owner')).toBe('{"position":"1"}');
        const first = await looked('.lethe/owner');
        await store.replace('.lethe/owner', '{"position":"22"}');
        expect(await contentOf('.lethe/owner')).toBe('{"position":"22"}');
        expect((await looked('.lethe/owner')).etag).not.toBe(first.etag);
        await store.replace('.lethe/new/folder/Grüße', '');
        expect((await outside.list()).sort()).toEqual(['.lethe/new/folder/Grüße', '.lethe/owner']);
        expect(await store.delete('.lethe/owner', first)).toBe('changed');
      });

      it('leaves one whole content where many write at once, and a reader never sees less', async () => {
        const contents = Array.from({ length: 8 }, (_, index) => String(index).repeat(10_000 + index));
        await store.replace('.lethe/owner', 'first');
        const state = { done: false };
        const writing = Promise.all(contents.map(async (content) => store.replace('.lethe/owner', content))).finally(
          () => (state.done = true),
        );
        while (!state.done) expect(['first', ...contents]).toContain(await contentOf('.lethe/owner'));
        await writing;
        expect(contents).toContain(await contentOf('.lethe/owner'));
        expect(await outside.list()).toEqual(['.lethe/owner']);
      });

      it.each(['owner', 'a/.lethe/owner', '.lethe-not/owner', '.lethe/../owner', '.lethe/', '.lethe', ''])(
        'refuses %j: nothing of a user is ever replaced',
        async (path) => {
          await expect(store.replace(path, 'x')).rejects.toBeInstanceOf(InvalidPath);
          expect(await outside.list()).toEqual([]);
        },
      );
    });

    describe('prune', () => {
      it('removes no object', async () => {
        for (const path of ['a/b/c', 'a/d', 'ab/c', 'e']) await outside.write(path, Buffer.from('x'));
        await store.prune('a/');
        expect((await outside.list()).sort()).toEqual(['a/b/c', 'a/d', 'ab/c', 'e']);
      });

      it('is safe where nothing is left, and to repeat', async () => {
        const seen = await store.put('a/b/c', bodyOf('x'));
        await store.delete('a/b/c', seen);
        for (let time = 0; time < 2; time += 1) await store.prune('a/');
        await store.prune('never/was/');
        expect(await listed('')).toEqual([]);
        await store.put('a', bodyOf('where a folder was, a file can be'));
      });

      it('leaves room for puts that run meanwhile', async () => {
        const rounds = Array.from({ length: 20 }, (_, index) => `a/b/c/${String(index)}`);
        const state = { done: false };
        const puts = Promise.all(rounds.map(async (path) => store.put(path, bodyOf(path)))).finally(
          () => (state.done = true),
        );
        while (!state.done) {
          await store.prune('a/');
          // A store without folders has nothing to wait for, and would leave the puts no turn.
          await setImmediate();
        }
        await puts;
        expect(await paths('a/')).toEqual(rounds.sort());
      });
    });

    async function contentOf(path: string): Promise<string> {
      return (await buffer((await got(path)).body)).toString();
    }

    async function got(path: string, range?: { start: number; end: number }) {
      const found = await store.get(path, range);
      if (found === null) throw new Error(`nothing at ${path}`);
      return found;
    }

    async function looked(path: string): Promise<SeenFile> {
      const seen = await store.stat(path);
      if (seen === null) throw new Error(`nothing at ${path}`);
      return seen;
    }

    async function listed(prefix: string, signal?: AbortSignal): Promise<SeenObject[]> {
      const objects: SeenObject[] = [];
      for await (const object of store.list(prefix, signal)) objects.push(object);
      return objects;
    }

    async function paths(prefix: string): Promise<string[]> {
      return (await listed(prefix)).map(({ path }) => path);
    }
  });
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

/** A body of these chunks. */
export function bodyOf(...chunks: (string | Buffer)[]): Readable {
  return Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );
}

/** A body that gives some bytes, then fails. */
export function failing(error: Error): Readable {
  const chunks = function* () {
    yield Buffer.alloc(100_000, 1);
    yield Buffer.alloc(100_000, 2);
    throw error;
  };
  return Readable.from(chunks(), { objectMode: false });
}

/** A body that gives some bytes and then nothing more; `asked` when those are taken and more is asked for. */
export function stalling(): Readable & { asked: Promise<void> } {
  const { promise: asked, resolve } = deferred();
  let gave = 0;
  const body = new Readable({
    read() {
      gave += 1;
      // More than the stream itself holds: who asks for the last has taken the first.
      if (gave <= 4) this.push(Buffer.alloc(100_000, gave));
      else resolve();
    },
  });
  return Object.assign(body, { asked });
}

/** Bytes of which no two neighbouring ranges look alike. */
export function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32BE(at, at);
  return bytes;
}

async function closed(body: Readable): Promise<void> {
  const { promise, resolve } = deferred();
  if (body.closed) return;
  body.once('close', resolve);
  await promise;
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}

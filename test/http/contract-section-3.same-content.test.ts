import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Asking, at, created, expectRefusal, outcome, refOf, type Row } from '../harness/asking.js';
import { filesBelow } from '../harness/refusing.js';
import { discard, startService, temporaryFolder, type Answer } from '../harness/service.js';

/* Section 3, "Same content again", sentence by sentence, for uploads and for what is registered where it lies. */

let lethe: Asking;
let disk: string;

beforeAll(async () => {
  disk = await temporaryFolder();
  for (const name of ['lab', 'other']) await mkdir(join(disk, name));
  const storages = ['lab', 'other'].map((name) => ({ name, root: `file:${join(disk, name)}` }));
  lethe = new Asking(await startService({ config: { storages } }));
});
afterAll(async () => {
  await discard(lethe.service);
  await rm(disk, { recursive: true, force: true });
});

const lab = (path: string): string => join(disk, 'lab', path);
const put = async (path: string, content: string): Promise<void> => {
  await mkdir(dirname(lab(path)), { recursive: true });
  await writeFile(lab(path), content);
};
const byPath = (path: string, metadata: object = {}): Promise<Answer> =>
  lethe.call('POST', '/v1/files', { json: { path, storage: 'lab', ...metadata } });

/** The same content again, each time the test asks; and a first record of it. */
type Way = readonly [
  string,
  (
    content: string,
  ) => Promise<{ first: (metadata?: object) => Promise<Row>; again: (metadata?: object) => Promise<Answer> }>,
];

const WAYS: readonly Way[] = [
  [
    'an upload',
    async (content) => ({
      first: async (metadata = {}) => created(await lethe.send(metadata, content)),
      again: (metadata = {}) => lethe.send(metadata, content),
    }),
  ],
  [
    'a file by its path',
    async (content) => {
      await put(`files/${content}`, content);
      const send = (metadata = {}): Promise<Answer> => byPath(`files/${content}`, metadata);
      return { first: async (metadata) => created(await send(metadata)), again: send };
    },
  ],
  [
    'a folder by its path',
    async (content) => {
      for (const name of ['a', 'deep/b']) await put(`folders/${content}/${name}`, `${name} of ${content}`);
      const send = (metadata = {}): Promise<Answer> => byPath(`folders/${content}/`, metadata);
      return { first: async (metadata) => created(await send(metadata)), again: send };
    },
  ],
];

describe.each(WAYS)('%s', (way, prepare) => {
  const named = (what: string) => prepare(`${what} ${way}`);

  it.each([{}, { onDuplicate: 'return' }])(
    'onDuplicate is return (default: 200 and the visible record with that content, outcome "existing"): %j',
    async (metadata) => {
      const { first, again } = await named(`returned ${Object.keys(metadata).length}`);
      const record = await first();
      const answer = await lethe.appendsNothing(() => again(metadata));
      expect([answer.status, answer.body]).toEqual([200, { outcome: 'existing', record, warnings: [] }]);
      expect(answer.headers.get('etag')).toBe(`"${record.revision}"`);
    },
  );

  it('…`warnings` naming metadata it did not take', async () => {
    const { first, again } = await named('warned');
    const label = await lethe.register('labels');
    const run = await lethe.register('runs');
    const record = await first({ description: 'the same' });
    const others = {
      version: '2',
      accessor: 'Other',
      suffix: '.other',
      labels: [label.uid],
      run: run.uid,
      visibility: 0,
    };
    const answer = await again({ description: 'the same', ...others });
    expect(outcome(answer, 'existing').record).toEqual(record);
    const [warning, ...rest] = answer.body.warnings;
    expect([warning.code, rest]).toEqual(['metadata-ignored', []]);
    for (const name of Object.keys(others)) expect(warning.message).toMatch(new RegExp(`\\b${name}\\b`));
    for (const name of ['description', 'key', 'transform']) expect(warning.message).not.toContain(name);
  });

  it('…create: a record of its own', async () => {
    const { first, again } = await named('created');
    const record = await first();
    const other = created(await again({ onDuplicate: 'create' }));
    expect(other.uid).not.toBe(record.uid);
    expect([other.hash, other.hashType, other.size]).toEqual([record.hash, record.hashType, record.size]);
  });

  it('…or fail: 409 duplicate, naming the record; nothing is stored', async () => {
    const { first, again } = await named('failed');
    const record = await first();
    const files = async (): Promise<string[]> =>
      (await Promise.all([disk, join(lethe.service.data, 'objects')].map(filesBelow))).flat();
    const before = await files();
    expectRefusal(await lethe.appendsNothing(() => again({ onDuplicate: 'fail' })), 'duplicate', 409, record.uid);
    expect(await files()).toEqual(before);
  });

  it.each(['return', 'fail', 'create'])(
    'identical content that lies in the trash does not count: a new record is made, and warnings names the trashed one (%s)',
    async (onDuplicate) => {
      const { first, again } = await named(`trashed ${onDuplicate}`);
      const record = await lethe.trash(await first());
      const answer = await again({ onDuplicate });
      expect(created(answer).uid).not.toBe(record.uid);
      expect(answer.body.warnings).toMatchObject([{ code: 'duplicate-in-trash', by: [refOf(record)] }]);
      expect(answer.body.warnings[0].message).toContain(record.uid);
      expect(await lethe.get(record)).toEqual(record);
    },
  );

  it('a hidden one is not the visible record: it does not count', async () => {
    const { first, again } = await named('hidden');
    const record = await first({ visibility: 0 });
    expect(created(await again()).uid).not.toBe(record.uid);
  });

  it('a purged one does not count', async () => {
    const { first, again } = await named('purged');
    const record = await first();
    await lethe.purge(record, '&storage=keep');
    const answer = await again();
    expect(created(answer).uid).not.toBe(record.uid);
    expect(answer.body.warnings).toEqual([]);
  });
});

describe('same content: equal hash, hashType, size and, for a folder, relative paths', () => {
  it('…in that storage: the same in another does not count', async () => {
    const record = created(await lethe.send({ storage: 'lab' }, 'in two storages'));
    expect(created(await lethe.send({ storage: 'other' }, 'in two storages')).hash).toBe(record.hash);
  });

  it('another folder with the same files at the same relative paths is the same; its key is not taken', async () => {
    for (const folder of ['one', 'two']) for (const name of ['a', 'deep/b']) await put(`${folder}/${name}`, `${name}!`);
    const record = created(await byPath('one/'));
    const answer = await byPath('two/');
    expect(outcome(answer, 'existing').record).toEqual(record);
    expect(answer.body.warnings).toMatchObject([{ code: 'metadata-ignored' }]);
    expect(answer.body.warnings[0].message).toMatch(/\bkey\b/);
  });

  it('a folder with the same files at other relative paths is another', async () => {
    for (const path of ['from/a', 'to/b']) await put(path, 'the same bytes elsewhere');
    const record = created(await byPath('from/'));
    expect(created(await byPath('to/'))).toMatchObject({ hash: record.hash, size: record.size, objects: 1 });
  });

  it('a folder of one file is not that file', async () => {
    await put('alone/a', 'alone');
    const file = created(await byPath('alone/a'));
    expect(created(await byPath('alone/')).hashType).not.toBe(file.hashType);
  });

  it('a semantic key that was asked for, where the content has a virtual one: it is named as not taken', async () => {
    const record = await lethe.file({ key: 'named.txt', storage: 'lab' }, 'under a virtual key');
    const answer = await lethe.send({ key: 'named.txt', keyIsVirtual: false, storage: 'lab' }, 'under a virtual key');
    expect(outcome(answer, 'existing').record).toEqual(record);
    expect(answer.body.warnings[0].message).toMatch(/\bkeyIsVirtual\b/);
    expect(existsSync(lab('named.txt'))).toBe(false);
  });
});

describe('an upload never overwrites', () => {
  const semantic = (key: string, content: string, metadata: object = {}): Promise<Answer> =>
    lethe.send({ key, keyIsVirtual: false, storage: 'lab', ...metadata }, content);

  it.each(['return', 'create', 'fail'])(
    'a semantic key under which an object already lies with other content: 409 conflict, registered or not (%s)',
    async (onDuplicate) => {
      const [found, registered] = [`found-${onDuplicate}`, `registered-${onDuplicate}`];
      await put(found, found);
      created(await semantic(registered, registered));
      for (const key of [found, registered]) {
        const answer = await lethe.appendsNothing(() => semantic(key, `other than ${key}`, { onDuplicate }));
        expectRefusal(answer, 'conflict', 409, key);
        expect(await readFile(lab(key), 'utf8')).toBe(key);
      }
    },
  );

  it.each(['return', 'fail'])('what is there no more is no reason to throw the same away (%s)', async (onDuplicate) => {
    const content = `lost, and sent again: ${onDuplicate}`;
    const lost = created(await lethe.send({ storage: 'lab' }, content));
    await rm(lab(lost.path));
    const answer = await lethe.send({ storage: 'lab', onDuplicate }, content);
    const again = created(answer);
    expect(answer.body.warnings).toMatchObject([{ code: 'duplicate-missing', by: [refOf(lost)] }]);
    expect((await lethe.call('GET', `${at(again)}/content`)).body).toBe(content);
    // The next one is the same as that.
    const third = await lethe.send({ storage: 'lab' }, content);
    expect(outcome(third, 'existing').record.uid).toBe(again.uid);
  });

  it('a semantic key whose object went away is written again, and serves both records', async () => {
    const metadata = { storage: 'lab', key: 'lost/and found.txt', keyIsVirtual: false };
    const lost = created(await lethe.send(metadata, 'lost'));
    await rm(lab(lost.path));
    const again = created(await lethe.send(metadata, 'lost'));
    expect(again.uid).not.toBe(lost.uid);
    for (const record of [lost, again]) expect((await lethe.call('GET', `${at(record)}/content`)).body).toBe('lost');
  });

  it('nor what a record in the trash, or a purged one, has left there', async () => {
    const record = created(await semantic('left', 'left'));
    await lethe.trash(record);
    expectRefusal(await semantic('left', 'other'), 'conflict', 409);
    await lethe.purge(record);
    expectRefusal(await semantic('left', 'other'), 'conflict', 409);
    expect(await readFile(lab('left'), 'utf8')).toBe('left');
  });

  it('path registers what lies there', async () => {
    await put('lies', 'what lies there');
    expectRefusal(await semantic('lies', 'other'), 'conflict', 409);
    const record = created(await byPath('lies'));
    expect(record).toMatchObject({ key: 'lies', keyIsVirtual: false, path: 'lies', size: 15 });
    expect((await lethe.call('GET', `${at(record)}/content`)).body).toBe('what lies there');
  });

  it('two uploads at once to one semantic key: one lies there, whole', async () => {
    const contents = ['a', 'b', 'c', 'd'].map((name) => name.repeat(300_000));
    const answers = await Promise.all(contents.map((content) => semantic('at-once', content)));
    const won = answers.filter(({ status }) => status === 201);
    expect(won).toHaveLength(1);
    for (const answer of answers) if (answer.status !== 201) expectRefusal(answer, 'conflict', 409);
    const [winner] = contents.filter((_, index) => answers[index]?.status === 201);
    expect(await readFile(lab('at-once'), 'utf8')).toBe(winner);
  });
});

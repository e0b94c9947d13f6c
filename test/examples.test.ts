import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, type Lethe } from '../src/client/connect.js';
import { buildExamples, runExample, startExample } from './harness/example.js';
import { discard, startService, temporaryFolder, type RunningService } from './harness/service.js';

/*
 * The programs of examples/, as their readers run them: compiled, against the package by its name.
 */

let service: RunningService;
let lethe: Lethe;
let folder = '';
let lab = '';

beforeAll(async () => {
  [folder, lab] = await Promise.all([temporaryFolder(), temporaryFolder()]);
  const storages = [{ name: 'lab', root: `file:${lab}` }];
  [service] = await Promise.all([startService({ config: { storages } }), buildExamples()]);
  lethe = await connect(service.url);
});

afterAll(async () => {
  await lethe.close();
  await discard(service);
  await Promise.all([folder, lab].map((each) => rm(each, { recursive: true })));
});

describe('quickstart', () => {
  const STORY = [
    /^created [0-9A-Za-z]{20}, 10 bytes$/,
    /^in the trash: 0 visible, 1 in all$/,
    /^restored: visibility 1, and the bytes: some bytes$/,
    /^would purge it: the object is to delete$/,
    /^purged: the object is deleted \(virtual-key\)$/,
    / RecordRegistered$/,
    / RecordTrashed not needed, I think$/,
    / RecordRestored$/,
    / RecordTrashed$/,
    / RecordPurgeRequested wrong upload$/,
    / ObjectDeletionStarted$/,
    / ObjectDeleted$/,
    / RecordPurged$/,
  ];

  it.each([
    ['on a folder', () => ({})],
    ['on a service', () => ({ LETHE_URL: service.url })],
  ])('tells the story %s', async (_, env) => {
    const { code, out, err } = await runExample('quickstart', [], folder, env());
    expect(err).toBe('');
    const lines = out.trimEnd().split('\n');
    expect(lines).toEqual(STORY.map((line) => expect.stringMatching(line)));
    expect(code).toBe(0);
  });
});

describe('what-became-of', () => {
  const ask = async (named: string) => {
    const { code, out, err } = await runExample('what-became-of', [named], folder, { LETHE_URL: service.url });
    expect(err).toBe('');
    expect(code).toBe(0);
    return out;
  };

  it('finds a purged file by the key that it had, and says who and why', async () => {
    const file = await lethe.files.add(new TextEncoder().encode('lost?'), { key: 'asked/for.csv' });
    expect(await ask('asked/for.csv')).toContain('  It is visible.');
    await file.delete({ reason: 'superseded' });
    expect(await ask(file.uid)).toMatch(/RecordTrashed {2}"superseded"\n {2}It lies in the trash\.\n$/);
    await file.delete({ permanent: true, reason: 'no longer needed' });
    const out = await ask('asked/for.csv');
    expect(out).toContain(`files/${file.uid}\n`);
    expect(out).toContain('RecordPurgeRequested  "no longer needed"');
    expect(out).toMatch(/It was purged by anonymous at 20[^ ]+Z\. Its 5 bytes were deleted: virtual-key\.\n$/);
  });

  it('says where there never was one', async () => {
    expect(await ask('no/such/key')).toBe('Nothing was ever registered as no/such/key.\n');
  });
});

describe('ingest-service', () => {
  it('keeps each batch once, passes on what Lethe refuses, and tells of its health', async () => {
    const child = startExample('ingest-service', [], folder, { LETHE_URL: service.url, PORT: '0' });
    const url = await new Promise<string>((resolve, reject) => {
      child.once('close', (code) => reject(new Error(`it ended at its start (${code ?? 'killed'})`)));
      if (child.stdout === null) throw new Error('its output is not piped');
      createInterface({ input: child.stdout }).on('line', (line) => {
        const [, address] = /listens at (\S+)/.exec(line) ?? [];
        if (address !== undefined) resolve(address);
      });
    });
    const send = (key: string, body: unknown) =>
      fetch(`${url}/readings/lab-3`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'Idempotency-Key': key },
        body: JSON.stringify(body),
      });
    const batch = [{ at: '2026-11-25T15:00:00Z', value: 21.5 }];
    const first = await send('batch-7', batch);
    expect(first.status).toBe(201);
    const { uid } = JSON.parse(await first.text());
    expect(JSON.parse(await (await send('batch-7', batch)).text()).uid).toBe(uid);
    const file = await lethe.files.get(uid);
    expect(file).toMatchObject({ key: 'readings/lab-3.csv', createdBy: 'svc:ingest' });
    expect(await (await file.content()).text()).toBe('at,value\n2026-11-25T15:00:00Z,21.5\n');

    const other = await send('batch-7', [{ at: '2026-11-25T15:00:00Z', value: 22 }]);
    expect(other.status).toBe(422);
    expect(JSON.parse(await other.text())).toMatchObject({ code: 'idempotency-mismatch' });
    expect((await send('batch-8', [{ at: 'yesterday' }])).status).toBe(422);

    const health = await fetch(`${url}/health`);
    expect(health.status).toBe(200);
    expect(JSON.parse(await health.text())).toMatchObject({ info: { lethe: { status: 'up' } } });
    const closed = once(child, 'close');
    child.kill('SIGTERM');
    await closed;
  });
});

describe('import-folder', () => {
  const run = () => runExample('import-folder', ['lab'], folder, { LETHE_URL: service.url });

  it('registers every file where it lies, and goes on where it was', async () => {
    await mkdir(join(lab, 'sales/old'), { recursive: true });
    await Promise.all(
      ['sales/2025.csv', 'sales/2026.csv', 'sales/old/größe 100%.csv', 'notes.txt'].map((path) =>
        writeFile(join(lab, path), path),
      ),
    );
    await symlink('/etc/hostname', join(lab, 'link.txt'));
    expect(await run()).toEqual({ code: 0, err: '', out: '4 registered, 0 there already, 0 refused\n' });
    const files = await lethe.files.filter({ path: { startsWith: 'sales/' } }, { sort: 'path' }).all();
    expect(files.map(({ path, key, keyIsVirtual }) => ({ path, key, keyIsVirtual }))).toEqual(
      ['sales/2025.csv', 'sales/2026.csv', 'sales/old/größe 100%.csv'].map((path) => ({
        path,
        key: path,
        keyIsVirtual: false,
      })),
    );
    expect(await readFile(join(lab, 'notes.txt'), 'utf8')).toBe('notes.txt');

    // What has the same content as another file is a file of its own.
    await writeFile(join(lab, 'copy.txt'), 'notes.txt');
    await files[0]?.delete();
    expect(await run()).toMatchObject({ code: 0, out: '1 registered, 4 there already, 0 refused\n' });
    expect(await lethe.files.filter({ visibility: null, createdBy: 'import' }).count()).toBe(5);
  });

  it('finds all of a folder that is large and deep', async () => {
    const deep = join(lab, 'deep/er/still');
    await mkdir(deep, { recursive: true });
    const names = Array.from({ length: 150 }, (_, number) => `${number}.txt`);
    for (const folder of ['deep', 'deep/er/still'])
      await Promise.all(names.map((name) => writeFile(join(lab, folder, name), `${folder}/${name}`)));
    expect(await run()).toMatchObject({ code: 0, out: '300 registered, 5 there already, 0 refused\n' });
    expect(await lethe.files.filter({ path: { startsWith: 'deep/er/still/' } }).count()).toBe(150);
  });

  it('does not bring back what was purged since', async () => {
    await writeFile(join(lab, 'purged.txt'), 'purged');
    await run();
    const file = await lethe.files.filter({ path: 'purged.txt' }).first();
    await file?.delete({ permanent: true });
    expect(await readdir(lab)).toContain('purged.txt');
    expect(await run()).toMatchObject({ code: 0 });
    expect(await lethe.files.filter({ path: 'purged.txt', visibility: null }).all()).toEqual([]);
  });

  it('goes on after what is refused, and says what that was', async () => {
    const name = `${'x'.repeat(5)}\n.txt`;
    await writeFile(join(lab, name), 'a line break in its name');
    const { code, out, err } = await run();
    expect(out).toMatch(/, 1 refused\n$/);
    expect(err).toContain('.txt: ');
    expect(code).toBe(1);
    await rm(join(lab, name));
  });

  it('says which storage is not there', async () => {
    const { code, err } = await runExample('import-folder', ['nowhere'], folder, { LETHE_URL: service.url });
    expect(err).toContain("There is no storage 'nowhere'");
    expect(code).not.toBe(0);
  });
});

describe('import-lamindb', () => {
  const run = (lines: readonly object[]) =>
    runExample(
      'import-lamindb',
      ['lab'],
      folder,
      { LETHE_URL: service.url },
      lines.map((each) => JSON.stringify(each)).join('\n'),
    );

  it('takes over what is visible, hidden and in the trash, and changes nothing when it is started again', async () => {
    await writeFile(join(folder, 'virtual.csv'), 'a virtual key');
    await writeFile(join(lab, 'semantic.csv'), 'a semantic key');
    const none = { description: null, path: null };
    const lines = [
      { ...none, uid: 'a1', key: 'semantic.csv', keyIsVirtual: false, visibility: 0 },
      { ...none, uid: 'a2', key: 'sales/virtual.csv', keyIsVirtual: true, visibility: 1, path: 'virtual.csv' },
      { uid: 'a3', key: null, keyIsVirtual: true, visibility: -1, path: 'virtual.csv', description: 'trashed there' },
    ];
    expect(await run(lines)).toEqual({ code: 0, err: '', out: '1 visible, 1 hidden, 1 in the trash\n' });
    const imported = () => lethe.files.filter({ visibility: null, createdBy: 'import', hash: { in: hashes } }).all();
    const hashes = ['a virtual key', 'a semantic key'].map((content) =>
      createHash('md5').update(content).digest('base64url'),
    );
    const files = await imported();
    expect(
      files
        .map(({ key, keyIsVirtual, visibility, description, reason }) => ({
          key,
          keyIsVirtual,
          visibility,
          description,
          reason,
        }))
        .sort((a, b) => a.visibility - b.visibility),
    ).toEqual([
      {
        key: null,
        keyIsVirtual: true,
        visibility: -1,
        description: 'trashed there',
        reason: 'in the trash of LaminDB',
      },
      { key: 'semantic.csv', keyIsVirtual: false, visibility: 0, description: null, reason: null },
      { key: 'sales/virtual.csv', keyIsVirtual: true, visibility: 1, description: null, reason: null },
    ]);

    await files.find(({ visibility }) => visibility === -1)?.restore();
    expect(await run(lines)).toMatchObject({ code: 0 });
    expect((await imported()).map(({ visibility }) => visibility).sort()).toEqual([0, 1, 1]);
  });
});

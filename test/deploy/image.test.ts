import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readConfig } from '../../src/config.js';
import { lastStage, readCompose, readDockerfile, ROOT, textOf } from './compose.js';
import { node } from './health-check.js';

describe('Dockerfile', () => {
  const instructions = readDockerfile('Dockerfile');
  const image = lastStage(instructions);
  const only = (name: string): string => {
    const found = image.filter((each) => each.name === name);
    expect(found, name).toHaveLength(1);
    return found[0]?.rest ?? '';
  };

  test('builds and runs on one Node, and it is one that the package takes', () => {
    const versions = instructions
      .filter(({ name }) => name === 'FROM')
      .map(({ rest }) => /^node:([\d.]+)-/.exec(rest)?.[1]);
    expect(new Set(versions).size).toBe(1);
    const least = /^>=(\d+)\.(\d+)\.(\d+)$/.exec(JSON.parse(textOf('package.json')).engines.node);
    const numbers = (found: readonly string[]): number => found.reduce((sum, part) => sum * 1_000 + Number(part), 0);
    expect(least).not.toBeNull();
    expect(numbers((versions[0] ?? '').split('.'))).toBeGreaterThanOrEqual(numbers(least?.slice(1) ?? []));
  });

  test('what it copies is there, and is let in', () => {
    const letIn = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const sources = instructions
      .filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from='))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1));
    expect(sources).toContain('package-lock.json');
    for (const source of sources.filter((each) => each !== '.')) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      expect(letIn).toContain(source);
    }
    const build = JSON.parse(textOf('package.json')).scripts.build;
    for (const needed of ['src', 'tsconfig.json', /-p (\S+)/.exec(build)?.[1]]) expect(letIn).toContain(needed);
    for (const published of JSON.parse(textOf('package.json')).files.filter((each: string) => !/dist/.test(each)))
      expect(letIn).toContain(published);
  });

  test('runs as nobody in particular, and hears SIGTERM itself', () => {
    expect(only('USER')).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(JSON.parse(only('CMD'))).toEqual(['node', 'dist/main.js']);
    expect(existsSync(join(ROOT, 'src/main.ts'))).toBe(true);
    expect(image.some(({ name }) => name === 'ENTRYPOINT' || name === 'SHELL')).toBe(false);
  });

  test('asks with its own node whether it lives', async () => {
    const [program, ...args] = JSON.parse(/CMD (\[.*\])$/.exec(only('HEALTHCHECK'))?.[1] ?? 'null');
    expect(program).toBe('node');
    expect(await node(args, 200)).toEqual({ code: 0, asked: ['/health/live'] });
    expect(await node(args, 503)).toEqual({ code: 1, asked: ['/health/live'] });
    expect(await node(args, null)).toEqual({ code: 1, asked: [] });
  });
});

test('deploy/minio.Dockerfile builds the MinIO that the tests run against', () => {
  const [module] = /github\.com\/minio\/minio@v[\w.-]+/.exec(textOf('test/servers/fetch-minio.mjs')) ?? [];
  expect(module).toBeDefined();
  const [build] = readDockerfile('deploy/minio.Dockerfile').filter(({ name }) => name === 'RUN');
  expect(build?.rest.split(' ').at(-1)).toBe(module);
});

describe('deploy/make-secrets.sh', () => {
  let folder: string;
  let secrets: string;
  let said: string;
  const make = () => spawnSync('sh', [join(folder, 'make-secrets.sh')], { encoding: 'utf8' });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lethe-secrets-'));
    secrets = join(folder, 'secrets');
    await copyFile(join(ROOT, 'deploy/make-secrets.sh'), join(folder, 'make-secrets.sh'));
    const made = make();
    expect(made, made.stderr).toMatchObject({ status: 0, stderr: '' });
    said = made.stdout;
  });
  afterAll(async () => rm(folder, { recursive: true }));

  test('makes each secret of docker-compose.yml: for the containers to read, and for nobody else here', () => {
    const names = Object.values(readCompose().secrets).map(({ file }) => file.replace('./deploy/secrets/', ''));
    expect(readdirSync(secrets).sort()).toEqual(names.sort());
    expect(statSync(secrets).mode & 0o777).toBe(0o700);
    for (const name of names) expect(statSync(join(secrets, name)).mode & 0o777, name).toBe(0o444);
    expect(readFileSync(join(secrets, 's3_secret_key'), 'utf8')).toMatch(/^[0-9a-f]{40}$/);
  });

  test('prints the one key, and keeps only its hash', () => {
    const key = /^[0-9a-f]{64}$/m.exec(said)?.[0] ?? '';
    const config = readFileSync(join(secrets, 'lethe.json'), 'utf8');
    expect(config).toContain(createHash('sha256').update(key).digest('hex'));
    expect(config).not.toContain(key);
  });

  test('a second time it refuses, and changes nothing', () => {
    const before = readdirSync(secrets).map((name) => readFileSync(join(secrets, name), 'utf8'));
    expect(make()).toMatchObject({ status: 1, stderr: expect.stringContaining('is there already') });
    expect(readdirSync(secrets).map((name) => readFileSync(join(secrets, name), 'utf8'))).toEqual(before);
    expect(readdirSync(folder).sort()).toEqual(['make-secrets.sh', 'secrets']);
  });

  test.each(['api', 'worker'])('with them, %s of docker-compose.yml is a configuration that can start', (role) => {
    const given = readCompose().services[role]?.environment ?? {};
    const env = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, value.replace('/run/secrets', secrets)]),
    );
    expect(readConfig(env)).toMatchObject({
      host: '0.0.0.0',
      port: 4270,
      eventStore: 'esdb://eventstore:2113?tls=false',
      readModel: 'mongodb://mongo:27017/lethe?replicaSet=rs0',
      s3: {
        accessKey: expect.stringMatching(/^lethe-[0-9a-f]{12}$/),
        secretKey: expect.stringMatching(/^[0-9a-f]{40}$/),
      },
      roles: { api: role === 'api', worker: role === 'worker' },
      storages: [{ name: 'default', root: 's3://minio:9000/lethe?tls=false', managed: true }],
      apiKeys: [{ subject: 'admin', may: ['read', 'write', 'purge', 'admin'] }],
    });
  });
});

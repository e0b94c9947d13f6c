import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { lastStage, readCompose, readDockerfile, ROOT, textOf, type Service } from './compose.js';

const compose = readCompose();
const services = Object.entries(compose.services);
const serviceOf = (name: string): Service => {
  const service = compose.services[name];
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return service;
};

/** All but what does its work once and ends. */
const lasting = services.filter(([name]) => name !== 'prepare');
const lethe = services.filter(([, { image }]) => image === 'lethe:local');

const can = (command: string, ...args: string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0;

const passes = (command: string, ...args: string[]): void => {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  expect({ status, said: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, said: '' });
};

describe('docker-compose.yml', () => {
  test.skipIf(!can('docker-compose', 'version'))('is one that Compose reads [needs docker-compose]', () => {
    passes('docker-compose', '--file', 'docker-compose.yml', 'config', '--quiet');
  });

  test('holds what the documentation says', () => {
    expect(services.map(([name]) => name)).toEqual([
      'proxy',
      'api',
      'worker',
      'prepare',
      'eventstore',
      'mongo',
      'minio',
    ]);
    expect([serviceOf('api').scale, serviceOf('worker').scale]).toEqual([2, 2]);
    expect(lethe.map(([name]) => name)).toEqual(['api', 'worker', 'prepare']);
  });

  test.each(services)('%s: its image has a version, or is built from one that has', (_, { image, build }) => {
    const images =
      build === undefined
        ? [image]
        : readDockerfile(build)
            .filter(({ name }) => name === 'FROM')
            .map(({ rest }) => rest.split(' ')[0]);
    expect(images).not.toEqual([]);
    for (const each of images) expect(each).toMatch(/^[\w./-]+:v?\d+\.\d+\.\d+(-[\w.-]+)?$/);
  });

  test.each(services)('%s is contained: no root, no capability, no writing, no log without end', (name, service) => {
    expect(service).toMatchObject({ read_only: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] });
    expect(service.user).toMatch(/^[1-9]\d*:[1-9]\d*$/);
    expect(service.logging?.options).toMatchObject({ 'max-size': '10m', 'max-file': '5' });
    for (const mount of service.tmpfs) expect(mount, name).toMatch(/:size=\d+m,mode=1777$/);
    for (const mount of service.volumes.filter((each) => each.startsWith('.'))) expect(mount).toMatch(/:ro$/);
  });

  test.each(lasting)('%s comes back, is looked after, and may end what it is at', (_, service) => {
    expect(service.restart).toBe('unless-stopped');
    expect(Number(/^(\d+)s$/.exec(service.stop_grace_period ?? '')?.[1])).toBeGreaterThanOrEqual(15);
    const { build, healthcheck } = service;
    // Lethe's own is its image's.
    const asked = build === undefined || healthcheck !== undefined ? healthcheck?.test?.[0] : healthcheckOf(build);
    expect(asked).toBe('CMD');
  });

  test('each starts after what it needs, and waits for nothing that cannot come', () => {
    const before = (name: string): string[] =>
      Object.keys(serviceOf(name).depends_on).flatMap((each) => [each, ...before(each)]);
    expect(new Set(before('proxy'))).toEqual(
      new Set(services.map(([name]) => name).filter((name) => name !== 'proxy')),
    );
    for (const [name, { depends_on: needs }] of services) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const once = needed === 'prepare';
        expect(condition === 'service_completed_successfully', `${name} needs ${needed}`).toBe(once);
        if (once) expect(serviceOf(needed).restart).toBe('no');
      }
    }
  });

  test('one port leads in, to this machine alone, and no store is on a network that leads out', () => {
    expect(services.filter(([, { ports }]) => ports.length > 0)).toEqual([['proxy', serviceOf('proxy')]]);
    expect(serviceOf('proxy').ports).toEqual(['${PUBLISH:-127.0.0.1:4270}:8080']);
    expect(compose.networks).toEqual({ front: null, stores: { internal: true } });
    for (const name of ['eventstore', 'mongo', 'minio', 'worker', 'prepare'])
      expect(serviceOf(name).networks).toEqual(['stores']);
    expect(serviceOf('proxy').networks).toEqual(['front']);
  });

  test('the addresses lead to services, by the ports that these listen on', () => {
    for (const [name, { environment, networks }] of lethe) {
      const addresses = Object.entries(environment).filter(
        ([variable]) => variable.endsWith('_STORE') || variable.endsWith('_MODEL'),
      );
      expect(addresses.map(([, address]) => new URL(address).host)).toEqual([
        'eventstore:2113',
        'mongo:27017',
        'minio:9000',
      ]);
      for (const [, address] of addresses)
        expect(
          serviceOf(new URL(address).hostname).networks.some((each) => networks.includes(each)),
          name,
        ).toBe(true);
      const set = new URL(environment['LETHE_READ_MODEL'] ?? '').searchParams.get('replicaSet');
      expect(serviceOf('mongo').command).toEqual(expect.arrayContaining(['--replSet', set]));
    }
    expect(readDockerfile('deploy/minio.Dockerfile').at(-1)?.rest).toContain('"--address", ":9000"');
  });

  test('what it mounts is there, and so are its volumes and secrets', () => {
    for (const [, { volumes, secrets }] of services) {
      for (const [source = ''] of volumes.map((each) => each.split(':')))
        expect(source.startsWith('.') ? existsSync(join(ROOT, source)) : source in compose.volumes, source).toBe(true);
      for (const secret of secrets) expect(Object.keys(compose.secrets)).toContain(secret);
    }
  });

  test('no secret is in it: they come by file, from a folder that neither git nor an image takes', () => {
    for (const [name, { environment }] of services) {
      for (const [variable, value] of Object.entries(environment)) {
        if (/KEY|SECRET|PASSWORD|TOKEN|ROOT_USER/.test(variable)) expect(variable, name).toMatch(/_FILE$/);
        if (variable.endsWith('_FILE') && variable !== 'EVENTSTORE_DISABLE_LOG_FILE')
          expect(serviceOf(name).secrets.map((secret) => `/run/secrets/${secret}`)).toContain(value);
        expect(value).not.toMatch(/\/\/[^/]*@/);
      }
    }
    for (const { file } of Object.values(compose.secrets)) expect(file).toMatch(/^\.\/deploy\/secrets\/[\w.]+$/);
    expect(textOf('.gitignore').split('\n')).toEqual(expect.arrayContaining(['deploy/secrets/', 'deploy/secrets.*/']));
    const [first, ...others] = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    expect(others.filter((line) => line.includes('deploy'))).toEqual(['!deploy/prepare.mjs']);
  });

  test('every variable of Lethe in it is one that Lethe reads', () => {
    const source = readdirSync(join(ROOT, 'src'))
      .filter((name) => /^config(\.\w+)?\.ts$/.test(name))
      .map((name) => textOf(`src/${name}`))
      .join('\n');
    const read = new Set(source.match(/\bLETHE_[A-Z0-9_]*[A-Z0-9]\b/g));
    const reads = (variable: string): boolean =>
      read.has(variable) || (source.includes('}_FILE') && read.has(variable.replace(/_FILE$/, '')));
    const used = new Set(
      services.flatMap(([, { environment }]) => Object.keys(environment)).filter((name) => name.startsWith('LETHE_')),
    );
    expect(used.size).toBeGreaterThan(5);
    expect([...used].filter((variable) => !reads(variable))).toEqual([]);
  });
});

const healthcheckOf = (dockerfile: string): string | undefined => {
  const check = lastStage(readDockerfile(dockerfile)).find(({ name }) => name === 'HEALTHCHECK');
  return check?.rest.split(' ').find((word) => !word.startsWith('--'));
};

describe('deploy/haproxy.cfg', () => {
  const config = textOf('deploy/haproxy.cfg');

  test.skipIf(!can('haproxy', '-v'))('is one that HAProxy reads [needs haproxy]', () => {
    passes('haproxy', '-c', '-f', 'deploy/haproxy.cfg');
  });

  test('has room for every api process, and finds it where it listens', () => {
    const templates = [...config.matchAll(/server-template \w+ (\d+) (\w+):(\d+) check /g)];
    expect(templates).toHaveLength(2);
    for (const [, room, host, port] of templates) {
      expect([host, port]).toEqual(['api', serviceOf('api').environment['LETHE_PORT']]);
      expect(Number(room)).toBeGreaterThanOrEqual(serviceOf('api').scale);
    }
  });

  test('asks what the service answers, and its own check asks what it answers', () => {
    const routes = [...textOf('src/api/health.controller.ts').matchAll(/@Get\('(\w+)'\)/g)];
    const known = new Set(routes.map(([, route]) => `/health/${route ?? ''}`));
    const asked = [...config.matchAll(/http-check send meth GET uri (\S+)/g)].map(([, path]) => path ?? '');
    expect(asked).toEqual(['/health/ready', '/health/live']);
    for (const path of asked) expect(known).toContain(path);
    const { host } = new URL(serviceOf('proxy').healthcheck?.test?.at(-1) ?? '');
    expect(config).toContain(`bind ${host}\n`);
  });

  test('sends on only what never left', () => {
    expect(config).toMatch(/^ {4}retry-on conn-failure$/m);
  });
});

import { request as open } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import type { RunningService } from '../harness/service.js';
import { upload } from '../harness/service.js';
import type { Chance } from './kill.chance.js';
import { drawCommand, uploadOf } from './kill.commands.js';
import type { Answer, Command, Heard, World } from './kill.world.js';

const CLIENTS = 6;

/** When the process dies: after so many answers (the last of them to a purge, where it must be) and then so many milliseconds. */
interface Moment {
  readonly answers: number;
  readonly atPurge: boolean;
  readonly thenMs: number;
}

const momentOf = (chance: Chance): Moment =>
  chance.weighted<() => Moment>([
    [4, () => ({ answers: 1 + chance.below(90), atPurge: false, thenMs: chance.maybe(0.5) ? 0 : chance.below(20) })],
    [4, () => ({ answers: 1 + chance.below(60), atPurge: true, thenMs: chance.below(15) })],
    [2, () => ({ answers: 0, atPurge: false, thenMs: chance.below(500) })],
  ])();

/**
 * Callers at work on a service, until it is killed in the middle.
 * @param chance makes the chance of each part, by its name
 * @throws Error where the service breaks off by itself
 */
export const workUntilKilled = async (
  service: RunningService,
  world: World,
  round: number,
  chance: (part: string) => Chance,
): Promise<void> => {
  const moment = momentOf(chance('moment'));
  const dead = new AbortController();
  const working: Promise<void>[] = [];
  let answers = 0;
  const reached = new Promise<void>((resolve) => {
    const count = ({ said }: Answer): void => {
      answers += 1;
      if (answers >= moment.answers && (said === 'purging' || !moment.atPurge)) resolve();
    };
    if (moment.answers === 0) resolve();
    for (let client = 0; client < CLIENTS; client += 1) {
      working.push(work(service, world, round, chance(`client-${client}`), dead.signal, count));
    }
  });
  const breaking = Array.from({ length: chance('broken').below(3) }, (_, i) => chance(`broken-${i}`)).map((each) =>
    breakOff(service, world, each, dead.signal),
  );
  // A client that fails ends the round at once: nobody would reach the moment.
  await Promise.race([reached.then(() => setTimeout(moment.thenMs)), Promise.all(working)]);
  dead.abort();
  await service.kill();
  await Promise.all([...working, ...breaking]);
};

const work = async (
  service: RunningService,
  world: World,
  round: number,
  chance: Chance,
  dead: AbortSignal,
  answered: (answer: Answer) => void,
): Promise<void> => {
  const issue = async (command: Command): Promise<void> => {
    const heard = await send(service, world, command);
    if (heard.kind === 'answer') answered(heard);
    else if (!dead.aborted) throw new Error(`the service broke off by itself:\n${service.log()}`);
  };
  while (!dead.aborted) {
    const command = drawCommand(chance, world, round);
    if (command === null) {
      // An outsider's turn waits for nothing: the others get theirs.
      await new Promise(setImmediate);
      continue;
    }
    const again =
      command.key === null
        ? 0
        : chance.weighted<number>([
            [8, 0],
            [1, 1],
            [1, 2],
          ]);
    // Two at once, or one after the other.
    if (again === 1) await Promise.all([issue(command), issue(command)]);
    else await issue(command);
    if (again === 2 && !dead.aborted) await issue(command);
  }
};

/** Sends a command, and notes what came back. */
export const send = async (
  service: Pick<RunningService, 'request'>,
  world: Pick<World, 'acknowledged' | 'add'>,
  command: Command,
): Promise<Heard> => {
  command.sent += 1;
  const heard = await ask(service, command, `${command.id}/${command.sent}`);
  command.heard.push(heard);
  if (heard.kind === 'lost') return heard;
  if (heard.position !== null && heard.position > world.acknowledged) world.acknowledged = heard.position;
  const [registry, uid] = heard.record?.split('/') ?? [];
  if (heard.said === 'created' && !heard.replayed && registry !== undefined && uid !== undefined)
    world.add({ registry, uid });
  return heard;
};

const ask = async (
  service: Pick<RunningService, 'request'>,
  command: Command,
  correlationId: string,
): Promise<Heard> => {
  const { method, url, json, metadata, content, key, actor } = command;
  const headers: Record<string, string> = { ...command.headers, 'x-actor': actor, 'x-correlation-id': correlationId };
  if (key !== null) headers['idempotency-key'] = key;
  try {
    const what = metadata === null ? { json } : { body: upload(metadata, content ?? Buffer.alloc(0)) };
    const answer = await service.request(method, url, { ...what, headers });
    const etag = answer.headers.get('etag');
    const position = answer.headers.get('x-position');
    const named = answer.body?.record ?? null;
    return {
      kind: 'answer',
      status: answer.status,
      said: String(answer.body?.outcome ?? answer.body?.code ?? answer.body?.kind ?? ''),
      detail: answer.status < 400 ? '' : String(answer.body?.detail ?? answer.body),
      shown: named ?? answer.body?.tombstone ?? null,
      record: named === null ? recordOf(url) : `${named.registry}/${named.uid}`,
      etag: etag === null ? null : Number(etag.replaceAll('"', '')),
      position: position === null ? null : BigInt(position),
      replayed: answer.headers.get('idempotent-replayed') === 'true',
    };
  } catch (error) {
    if (error instanceof TypeError) return { kind: 'lost' };
    throw error;
  }
};

/** `/v1/purges/files/<uid>/retry` → `files/<uid>` */
const recordOf = (url: string): string | null => /\/([a-z]+\/[0-9A-Za-z]{20})(?:[/?]|$)/.exec(url)?.[1] ?? null;

/** An upload that never ends: its caller goes away in the middle, or the service does. */
const breakOff = async (service: RunningService, world: World, chance: Chance, dead: AbortSignal): Promise<void> => {
  const content = chance.bytes(200_000 + chance.below(2_000_000));
  const { metadata } = uploadOf(chance, world, content);
  const boundary = `part-${world.number()}`;
  const part = (disposition: string, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from(`--${boundary}\r\ncontent-disposition: form-data; ${disposition}\r\n\r\n`), body]);
  await new Promise<void>((resolve) => {
    const request = open(`${service.url}/v1/files`, {
      method: 'POST',
      headers: {
        'content-type': `multipart/form-data; boundary=${boundary}`,
        'x-correlation-id': `broken-${world.number()}`,
      },
    });
    request.on('response', (response) => response.resume());
    request.on('error', () => resolve());
    request.on('close', () => resolve());
    dead.addEventListener('abort', () => request.destroy(), { once: true });
    request.write(part('name="metadata"', Buffer.from(`${JSON.stringify(metadata)}\r\n`)));
    const half = content.subarray(0, chance.below(content.length));
    request.write(part('name="content"; filename="half.bin"', half), () => {
      if (chance.maybe(0.4)) request.destroy();
    });
  });
};

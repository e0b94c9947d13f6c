import { parentPort, workerData } from 'node:worker_threads';
import { z } from 'zod';
import { openEventStore, openReadModel } from './adapters.js';
import type { Config } from './config.js';
import { Follower, type FollowerStatus } from './projections/follower.js';
import { systemClock, systemRandom } from './system.js';

/*
 * The projector: follows the log into the read model, on a thread of its own so that neither a rebuild nor a busy log ever keeps a
 * request waiting for the event loop.
 */

export type ToProjector = { readonly type: 'wake' } | { readonly type: 'stop' };
export type FromProjector =
  | { readonly type: 'status'; readonly status: FollowerStatus }
  | {
      readonly type: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly fields: Record<string, unknown>;
      readonly message: string;
    };

const run = async (config: Config): Promise<void> => {
  const say = (message: FromProjector): void => {
    parentPort?.postMessage(message);
  };
  const stop = new AbortController();
  const model = await openReadModel(config, 'read-write');
  const { store: events, wake } = await openEventStore(config, 'read-only');
  parentPort?.on('message', (message: ToProjector) => {
    if (message.type === 'wake') wake();
    else stop.abort();
  });
  const log = (level: 'info' | 'warn' | 'error') => (fields: Record<string, unknown>, message: string) => {
    say({ type: 'log', level, fields, message });
  };
  const ports = {
    events,
    prefix: config.streamPrefix,
    model,
    clock: systemClock,
    random: systemRandom,
    log: { info: log('info'), warn: log('warn'), error: log('error') },
  };
  const follower = new Follower(ports, (status) => {
    say({ type: 'status', status });
  });
  await follower.run(stop.signal);
  // A halted follower stays silent and keeps its last status; the thread ends when it is told to.
  if (!stop.signal.aborted)
    await new Promise((resolve) => stop.signal.addEventListener('abort', resolve, { once: true }));
  await model.close();
  await events.close();
  parentPort?.close();
};

await run(z.custom<Config>().parse(workerData));

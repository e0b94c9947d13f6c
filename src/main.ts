import { inspect } from 'node:util';
import { readConfig } from './config.js';
import { ConfigError } from './config.stores.js';
import { openService, serviceLog } from './service.js';

/** Runs the service until SIGINT or SIGTERM, then ends it in order. */
const main = async (): Promise<void> => {
  const config = readConfig(process.env);
  const log = serviceLog(config.logLevel);
  const service = await openService(config, log);
  let stopping = false;
  const stop = (signal: NodeJS.Signals): void => {
    stopping = true;
    log.info({ signal }, 'stopping');
    void service.close().then(() => process.exit(0));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const url = await service.listen();
  try {
    await service.started;
  } catch (error) {
    if (stopping) return;
    throw error;
  }
  log.info({ url, data: config.data, pid: process.pid }, `Lethe is ready at ${url}`);
};

try {
  await main();
} catch (error) {
  const expected =
    error instanceof ConfigError ||
    (error instanceof Error &&
      ['FolderLocked', 'Misconfigured', 'Corrupt', 'Unavailable', 'Unsuitable', 'Full'].includes(error.name));
  process.stderr.write(`lethe: ${expected && error instanceof Error ? error.message : inspect(error)}\n`);
  process.exitCode = 1;
  process.exit();
}

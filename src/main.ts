import { inspect } from 'node:util';
import { ConfigError, readConfig } from './config.js';
import { openService, serviceLog } from './service.js';

/** Runs the service until SIGINT or SIGTERM, then ends it in order. */
const main = async (): Promise<void> => {
  const config = readConfig(process.env);
  const log = serviceLog(config.logLevel);
  const service = await openService(config, log);
  const stop = (signal: NodeJS.Signals): void => {
    log.info({ signal }, 'stopping');
    void service.close().then(() => process.exit(0));
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
  const url = await service.listen();
  log.info({ url, data: config.data, pid: process.pid }, `Lethe is ready at ${url}`);
};

try {
  await main();
} catch (error) {
  const expected =
    error instanceof ConfigError ||
    (error instanceof Error && ['FolderLocked', 'Corrupt', 'Unavailable', 'Full'].includes(error.name));
  process.stderr.write(`lethe: ${expected && error instanceof Error ? error.message : inspect(error)}\n`);
  process.exitCode = 1;
  process.exit();
}

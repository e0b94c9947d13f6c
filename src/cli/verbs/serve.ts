import { InvalidArgumentError, type Command } from 'commander';
import { dataFolderOf } from '../connection.js';
import type { GlobalOptions } from '../context.js';

interface Options extends GlobalOptions {
  readonly host?: string;
  readonly port?: string;
}

export const addServe = (program: Command): void => {
  program
    .command('serve')
    .description('run the service on the data folder until it is stopped')
    .option('--host <address>', 'where to listen (LETHE_HOST, default 127.0.0.1)')
    .option('--port <n>', 'where to listen; 0 takes any free one (LETHE_PORT, default 4270)', portNumber)
    .addHelpText('after', '\nExample:\n  $ lethe serve --data ./lethe-data --port 4270')
    .action(async (_options: object, command: Command) => {
      const { host, port, data, url } = command.optsWithGlobals<Options>();
      if (url !== undefined)
        command.error('error: serve is the service itself: --host and --port say where it listens');
      process.env['LETHE_DATA'] = dataFolderOf(data === undefined ? {} : { data });
      if (host !== undefined) process.env['LETHE_HOST'] = host;
      if (port !== undefined) process.env['LETHE_PORT'] = port;
      await import('../../main.js');
    });
};

/** As the service takes it from the environment, which is text. */
const portNumber = (text: string): string => {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return text;
  throw new InvalidArgumentError('It is a port from 0 to 65535.');
};

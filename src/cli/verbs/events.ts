import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { inOrder, withConnection, type Context, type Surroundings } from '../context.js';
import { CliError, PipeClosed, REFUSED } from '../exit.js';
import { startBar, type Bar } from '../progress.js';
import { storesFolderOf } from '../stores.js';
import { counted } from '../text.js';

export const addEvents = (program: Command): void => {
  const events = program
    .command('events')
    .summary('export the log, or import one')
    .description('write all events to a file, or bring them to where there is no log yet');
  events
    .command('export')
    .description('write every event, oldest first, as one JSON object a line (NDJSON)')
    .argument('[file]', 'where to; stdout where it is left out')
    .addHelpText('after', '\nExample:\n  $ lethe events export production-2026-11.ndjson')
    .action((file: string | undefined, _options: object, command: Command) =>
      withConnection(command, (context) => exportTo(context, file ?? null)),
    );
  events
    .command('import')
    .description(
      'bring an exported log to where there is none: a data folder, or the server that LETHE_EVENT_STORE names; the objects themselves are ' +
        'not in it. No service may run there meanwhile. Started again after it broke off, it goes on',
    )
    .argument('<file>', 'what lethe events export wrote')
    .addHelpText(
      'after',
      '\nExamples:\n  $ lethe events import production-2026-11.ndjson --data ./copy' +
        "\n  $ LETHE_EVENT_STORE='esdb://host:2113?tls=false' lethe events import production-2026-11.ndjson",
    )
    .action((file: string, _options: object, command: Command) =>
      inOrder(command, (surroundings, target) => importFrom(surroundings, storesFolderOf(target), file)),
    );
};

const exportTo = async (context: Context, file: string | null): Promise<void> => {
  const { client, out, signal } = context;
  const answer = await client.exportEvents({ signal });
  if (answer.body === null) throw new CliError('the service answered without a body: is a proxy between?');
  const body = Readable.fromWeb(answer.body);
  if (file === null) {
    await toStdout(body, signal);
    return;
  }
  // What broke off must not pass for all of it.
  const unfinished = `${file}.part`;
  try {
    await pipeline(body, wholeLines, createWriteStream(unfinished, { flush: true }), { signal });
    await rename(unfinished, file);
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
  const position = answer.headers.get('X-Position');
  await out.body({ file, position });
  await out.line(`wrote ${file}, up to position ${position ?? 'unknown'}`);
};

const toStdout = async (body: Readable, signal: AbortSignal): Promise<void> => {
  try {
    await pipeline(body, wholeLines, process.stdout, { end: false, signal });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EPIPE' || code === 'ERR_STREAM_PREMATURE_CLOSE') throw new PipeClosed();
    throw error;
  }
};

/** Passes everything on. @throws CliError where the last line has no end */
async function* wholeLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let last: number | undefined;
  for await (const chunk of chunks) {
    last = chunk.at(-1) ?? last;
    yield chunk;
  }
  if (last !== undefined && last !== 0x0a)
    throw new CliError('the export broke off in the middle of an event: run it again');
}

const importFrom = async ({ out, signal }: Surroundings, data: string, file: string): Promise<void> => {
  const [{ importLog, NotEmpty }, { readConfig }] = await Promise.all([
    import('../../log-import.js'),
    import('../../config.js'),
  ]);
  const config = readConfig({ ...process.env, LETHE_DATA: data });
  let bar: Bar | null = null;
  const onProgress = async (checked: number, laid: number): Promise<void> => {
    bar ??= await startBar(checked, 'events');
    bar.at(laid);
  };
  try {
    const { events, position, found } = await importLog({ config, file, signal, onProgress });
    const isEmbedded = config.eventStore === null;
    const place = isEmbedded ? data : 'the log that LETHE_EVENT_STORE names';
    await out.body({ data: isEmbedded ? data : null, events, position: String(position), found });
    if (found === events) await out.line(`${place} has these ${counted(events, 'event')} already; nothing was changed`);
    else
      await out.line(
        `imported ${counted(events, 'event')} into ${place}, up to ${isEmbedded ? '' : 'its '}position ${position}`,
      );
  } catch (error) {
    if (error instanceof NotEmpty) throw new CliError(error.message, REFUSED, { cause: error });
    throw error;
  } finally {
    stop(bar);
  }
};

const stop = (bar: Bar | null): void => bar?.stop();

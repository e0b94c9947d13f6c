import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CommandAnswer, RecordAnswer } from '../client/answers.js';
import { Conflict, IdempotencyMismatch, LetheError, NotFound, Purged } from '../client/errors.js';
import type { Context } from './context.js';
import { CliError } from './exit.js';
import { startBar, type Bar } from './progress.js';
import { systemErrorText } from './system-errors.js';
import { counted, named, sizeText } from './text.js';

/** A file to be copied. */
export interface Upload {
  /** With links resolved. */
  readonly path: string;
  readonly key: string;
  readonly size: number;
}

interface Metadata {
  readonly key: string;
  readonly keyIsVirtual: boolean;
  readonly description: string | null;
  readonly onDuplicate?: 'create';
}

interface Options {
  readonly semantic?: boolean;
  readonly description?: string;
  /** Each is a record of its own, with other content or not. */
  readonly each: boolean;
}

/** One after the other. A file that is refused is reported, and the others go on; a service that fails ends it all. */
export const upload = async (context: Context, files: readonly Upload[], options: Options): Promise<void> => {
  const { out, meter, fail } = context;
  const total = files.reduce((sum, { size }) => sum + size, 0);
  const bar = await startBar(total, 'bytes');
  let before = 0;
  try {
    for (const [index, file] of files.entries()) {
      const note = files.length === 1 ? '' : `${index + 1} of ${counted(files.length, 'file')}`;
      listen(bar, meter, before, note);
      try {
        const answer = await uploadOne(context, file, options);
        bar.pause();
        await reportAdded(out, answer, (uid, size) => `added ${uid} as ${file.key} (${size})`);
      } catch (error) {
        bar.pause();
        if (files.length === 1 || !isRefusal(error)) throw error;
        await fail(error, file.path);
      }
      before += file.size;
    }
  } finally {
    meter.listen(null);
    bar.stop();
  }
};

const listen = (bar: Bar, meter: Context['meter'], before: number, note: string): void => {
  if (!process.stderr.isTTY) return;
  let sent = 0;
  meter.listen({
    restarted: () => {
      sent = 0;
    },
    sent: (bytes) => {
      sent += bytes;
      bar.at(before + sent, note);
    },
  });
};

/**
 * The same content counts once, but a folder has a record for each of its files: where the service knows the content by another key
 * alone, the file gets its own.
 */
const uploadOne = async (context: Context, file: Upload, options: Options): Promise<CommandAnswer> => {
  const { semantic, description, each } = options;
  const metadata: Metadata = { key: file.key, keyIsVirtual: semantic !== true, description: description ?? null };
  const answer = await send(context, file, metadata);
  const { record, outcome } = answer;
  if (!each || outcome !== 'existing' || record === null || keyOf(record) === file.key) return answer;
  const same = await sameAt(context, record, file.key);
  if (same !== null) return { ...answer, record: same, warnings: [] };
  return send(context, file, { ...metadata, onDuplicate: 'create' });
};

const keyOf = (record: RecordAnswer): string | null => ('key' in record ? record.key : null);

/** The visible record with this one's content and a certain key. */
const sameAt = async ({ client, signal }: Context, record: RecordAnswer, key: string): Promise<RecordAnswer | null> => {
  if (!('hash' in record)) return null;
  const { hash, hashType, size, storage } = record;
  for await (const { items } of client.list('files', { hash, hashType, size, storage, key, limit: 1 }, { signal }))
    return items[0] ?? null;
  return null;
};

/**
 * Sends a file under an idempotency key of its own state: started again after a crash, the same file is the same command, and what the
 * service may still be doing for the first one is not done twice. What the key stands for may be gone since, or the file have changed
 * unseen: then it is a new command.
 */
const send = async (context: Context, { path }: Upload, metadata: Metadata): Promise<CommandAnswer> => {
  const { client, signal } = context;
  const [content, idempotencyKey] = await Promise.all([openBlob(path), stateOf(path, metadata)]).catch(
    (error: unknown) => {
      throw unreadable(path, error);
    },
  );
  const filename = basename(path);
  let replayed = false;
  const onReplay = (): void => {
    replayed = true;
  };
  try {
    const answer = await client.upload(metadata, content, filename, { idempotencyKey, onReplay, signal });
    if (!replayed) return answer;
    const record = answer.record === null ? null : await visible(context, answer.record);
    if (record !== null) return { ...answer, outcome: 'existing', record };
  } catch (error) {
    // A registration that was withdrawn is remembered as such.
    if (!(error instanceof IdempotencyMismatch || (error instanceof Conflict && metadata.keyIsVirtual))) throw error;
  }
  return client.upload(metadata, content, filename, { signal });
};

/** A Blob finds out only as it is sent that it may not be read, and that looks like a service that does not answer. */
const openBlob = async (path: string): Promise<Blob> => {
  await access(path, constants.R_OK);
  return openAsBlob(path);
};

/** @returns a name for a file as it is now, and what is said of it */
const stateOf = async (path: string, metadata: object): Promise<string> => {
  const { size, mtimeNs } = await stat(path, { bigint: true });
  return createHash('sha256')
    .update(JSON.stringify([path, String(size), String(mtimeNs), metadata]))
    .digest('hex');
};

const visible = async ({ client, signal }: Context, record: RecordAnswer): Promise<RecordAnswer | null> => {
  try {
    const now = await client.get(record, { signal });
    return 'visibility' in now && now.visibility === 1 ? now : null;
  } catch (error) {
    if (error instanceof Purged || error instanceof NotFound) return null;
    throw error;
  }
};

export const reportAdded = async (
  out: Context['out'],
  answer: CommandAnswer,
  added: (file: string, size: string) => string,
): Promise<void> => {
  out.warnings(answer.warnings);
  await out.body(answer);
  const { record, outcome } = answer;
  if (record === null) return;
  const size = 'size' in record ? sizeText(record.size) : '';
  await out.line(outcome === 'existing' ? `${named(record)} has the same content already` : added(named(record), size));
};

const isRefusal = (error: unknown): boolean =>
  error instanceof CliError || (error instanceof LetheError && error.status >= 400 && error.status < 500);

/** A file that cannot be read, by the name that the caller gave it. */
export const unreadable = (path: string, error: unknown): CliError => {
  const message = error instanceof Error ? error.message : String(error);
  return new CliError(systemErrorText(error, path) ?? `${path}: ${message}`, undefined, { cause: error });
};

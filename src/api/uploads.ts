import { isUtf8 } from 'node:buffer';
import { pipeline, Transform, type Readable } from 'node:stream';
import type { Multipart, MultipartFile } from '@fastify/multipart';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Envelope } from '../commands/commands.js';
import { UploadFile } from '../commands/file.commands.js';
import { Invalid } from '../commands/refusals.js';
import { sha256, uidOf } from '../events/ids.js';
import type { CommandAnswer } from './answers.js';
import { Commanding } from './commanding.js';
import { checkedJson, readJson } from './json.js';
import { Problem } from './problem.js';
import { parseBody } from './request.js';
import { uploadSchema } from './schemas.js';

/** Reads uploads: the part `metadata` first, then the part `content`, which streams through and is never held. */
@Injectable()
export class Uploads {
  constructor(@Inject(Commanding) private readonly commanding: Commanding) {}

  async receive(request: FastifyRequest, reply: FastifyReply, bare: Envelope): Promise<CommandAnswer> {
    const parts = request.parts({
      limits: { files: 2, fields: 2, fieldSize: MOST_METADATA, fileSize: Number.MAX_SAFE_INTEGER },
    });
    try {
      const first = await parts.next();
      if (first.done === true || first.value.fieldname !== 'metadata') {
        throw new Invalid([{ path: '/metadata', message: 'must be the first part, as JSON' }]);
      }
      const metadata = parseBody(uploadSchema, await metadataOf(first.value));
      const second = await parts.next();
      if (second.done === true || second.value.type !== 'file' || second.value.fieldname !== 'content') {
        throw new Invalid([
          { path: '/content', message: 'must be the second part, with a filename or as application/octet-stream' },
        ]);
      }
      const envelope = { ...bare, hash: sha256(JSON.stringify([bare.hash, metadata])) };
      const ref = { registry: 'files', uid: uidOf(envelope.commandId) };
      const command = new UploadFile(
        ref,
        envelope,
        metadata,
        filenameOf(second.value),
        alone(second.value.file, parts),
      );
      const result = await this.commanding.send(command, ref);
      return await this.commanding.answer(reply, result);
    } catch (error) {
      // What is left of the body is read and thrown away, so that the answer reaches a caller that is still sending.
      request.raw.unpipe();
      request.raw.resume();
      throw brokenOff(error) ?? error;
    }
  }
}

const filenameOf = ({ filename }: MultipartFile): string | null => (filename === '' ? null : filename);

const METADATA = 'The part metadata';
const MOST_METADATA = 256 * 1024;

/** As a form's field, or with a filename, as a `Blob` in a `FormData` is sent. */
const metadataOf = async (part: Multipart): Promise<unknown> => {
  if (part.type === 'file') {
    const bytes = await few(part.file);
    if (!isUtf8(bytes)) throw notText();
    return readJson(bytes.toString('utf8'), METADATA);
  }
  if (part.valueTruncated) throw tooLarge();
  const { value } = part;
  // A part that says it is application/json comes parsed already.
  return typeof value === 'string' ? readJson(asText(value), METADATA) : checkedJson(value, METADATA);
};

const few = async (bytes: AsyncIterable<Buffer>): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytes) {
    size += chunk.length;
    if (size > MOST_METADATA) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
};

/** The parser decodes a form's field as well as it can: U+FFFD is what other bytes become. As `\ufffd` in the JSON it is taken. */
const asText = (text: string): string => {
  if (text.includes('\ufffd')) throw notText();
  return text;
};

const notText = (): Problem => new Problem('malformed', `${METADATA} is not in UTF-8, as JSON has to be.`);

const tooLarge = (): Problem => new Problem('too-large', 'The part metadata is larger than 256 KiB.');

/** The bytes of the part content, which end well only where the body does: with its last boundary, and no further part. */
const alone = (content: Readable, parts: AsyncIterator<unknown>): Readable => {
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      done(null, chunk);
    },
    flush(done) {
      parts.next().then(
        ({ done: isLast }) => done(isLast === true ? null : tooMany()),
        (error: unknown) => done(error instanceof Error ? error : new Error(String(error))),
      );
    },
  });
  // Either of them ends with the other; whoever reads the tap hears why.
  pipeline(content, tap, () => undefined);
  return tap;
};

const tooMany = (): Problem => new Problem('malformed', 'The upload has more parts than metadata and content.');

/** The parser's own errors: a body that ends too early, parts that nobody asked for. */
const brokenOff = (error: unknown): Problem | null => {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error ? error.code : null;
  if (code === 'FST_FILES_LIMIT' || code === 'FST_FIELDS_LIMIT' || code === 'FST_PARTS_LIMIT') {
    return tooMany();
  }
  if (code === 'FST_INVALID_JSON_FIELD_ERROR')
    return new Problem('malformed', 'The part metadata is not JSON, or larger than 256 KiB.');
  if (/multipart: boundary/i.test(error.message))
    return new Problem('malformed', 'The Content-Type names no boundary: leave it to your HTTP client to write.');
  const broken = /unexpected end of (multipart|form)|premature close|malformed part|part terminated early/i;
  return broken.test(error.message) || code === 'ECONNRESET'
    ? new Problem('malformed', 'The upload ends in the middle; nothing of it was kept.')
    : null;
};

import type { MultipartFile } from '@fastify/multipart';
import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Envelope } from '../commands/commands.js';
import { UploadFile } from '../commands/file.commands.js';
import { Invalid } from '../commands/refusals.js';
import { sha256, uidOf } from '../events/ids.js';
import type { CommandAnswer } from './answers.js';
import { Commanding } from './commanding.js';
import { Problem } from './problem.js';
import { parseBody } from './request.js';
import { uploadSchema } from './schemas.js';

/** Reads uploads: the part `metadata` first, then the part `content`, which streams through and is never held. */
@Injectable()
export class Uploads {
  constructor(@Inject(Commanding) private readonly commanding: Commanding) {}

  async receive(request: FastifyRequest, reply: FastifyReply, bare: Envelope): Promise<CommandAnswer> {
    const parts = request.parts({
      limits: { files: 1, fields: 1, fieldSize: 256 * 1024, fileSize: Number.MAX_SAFE_INTEGER },
    });
    try {
      const first = await parts.next();
      if (first.done === true || first.value.type !== 'field' || first.value.fieldname !== 'metadata') {
        throw new Invalid([{ path: '/metadata', message: 'must be the first part, as JSON' }]);
      }
      if (first.value.valueTruncated) throw new Problem('too-large', 'The part metadata is larger than 256 KiB.');
      const said = parseJson(first.value.value);
      const metadata = parseBody(uploadSchema, said);
      const second = await parts.next();
      if (second.done === true || second.value.type !== 'file' || second.value.fieldname !== 'content') {
        throw new Invalid([
          { path: '/content', message: 'must be the second part, with a filename or as application/octet-stream' },
        ]);
      }
      const envelope = { ...bare, hash: sha256(JSON.stringify([bare.hash, metadata])) };
      const ref = { registry: 'files', uid: uidOf(envelope.commandId) };
      const command = new UploadFile(ref, envelope, metadata, filenameOf(second.value), second.value.file);
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

const parseJson = (value: unknown): unknown => {
  // A part that says it is application/json comes parsed already.
  if (typeof value !== 'string') return value;
  try {
    return JSON.parse(value);
  } catch {
    throw new Problem('malformed', 'The part metadata is not JSON.');
  }
};

/** The parser's own errors: a body that ends too early, parts that nobody asked for. */
const brokenOff = (error: unknown): Problem | null => {
  if (!(error instanceof Error)) return null;
  const code = 'code' in error ? error.code : null;
  if (code === 'FST_FILES_LIMIT' || code === 'FST_FIELDS_LIMIT' || code === 'FST_PARTS_LIMIT') {
    return new Problem('malformed', 'The upload has more parts than metadata and content.');
  }
  const broken =
    /unexpected end of (multipart|form)|premature close|multipart: boundary|malformed part|part terminated early/i;
  return broken.test(error.message) || code === 'ECONNRESET'
    ? new Problem('malformed', 'The upload ends in the middle; nothing of it was kept.')
    : null;
};

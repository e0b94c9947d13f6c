import { createHash } from 'node:crypto';
import http, { type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import https from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'minio';
import { Corrupt } from '../errors.js';
import { Call } from './minio.call.js';
import { brokenBy, NoAnswer, refused, unanswered, type Purpose } from './minio.errors.js';
import type { S3Root } from './minio.root.js';
import { textOf } from './minio.xml.js';

export interface Keys {
  readonly accessKey: string;
  readonly secretKey: string;
}

export interface Payload {
  readonly bytes: Buffer;
  /** Of `bytes`, hexadecimal. */
  readonly sha256: string;
}

export interface S3Request {
  /** What the server's access rules call it. */
  readonly action: string;
  /** What it is asked of, for errors; without: the bucket. */
  readonly of?: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** Whole, with the storage's prefix. Without: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly payload?: Payload;
  /** Statuses beside 2xx that are an answer, and no error. */
  readonly expects?: readonly number[];
  /** After a lost answer it is unknown whether it was done; it is not sent again. */
  readonly commits?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body; empty where `body` is. */
  readonly text: string;
  /** A body that is still to be read, or destroyed. */
  readonly body: IncomingMessage | null;
}

/** Waits before the second and third try of what may be repeated. */
const WAITS_MS = [100, 700];
const PASSING = new Set([408, 429, 500, 502, 503, 504]);
/** After these nobody knows whether it was done: somebody between us and the store answered, or the store in the middle of it. */
const UNCLEAR = new Set([500, 502, 504]);

const CONNECTIONS = 64;
const MAX_TEXT_BYTES = 16 * 1024 * 1024;
const EVERY_STATUS = Array.from({ length: 400 }, (_, index) => 200 + index);

/** Codes for answers that bring none: those to a HEAD have no body. */
const CODES: Readonly<Record<number, string>> = {
  301: 'PermanentRedirect',
  403: 'AccessDenied',
  404: 'NotFound',
  501: 'NotImplemented',
  503: 'SlowDown',
};

const NOTHING = payload('');

export function payload(text: string): Payload {
  const bytes = Buffer.from(text);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** The S3 code of an answer that is no success. */
export function codeOf({ status, headers, text }: Omit<Answer, 'body'>): string {
  const header = headers['x-minio-error-code'];
  return textOf(text, 'Code') ?? (typeof header === 'string' ? header : null) ?? CODES[status] ?? `HTTP${status}`;
}

/**
 * Requests to one S3 server. The driver signs and sends; the rest is done here, because its own calls never time out, take no signal and know
 * no `If-None-Match`, and because a multipart upload of its own takes over the unfinished one of another.
 */
export class Wire {
  private readonly agent: http.Agent;

  /** @param silenceMs how long no byte may come or go */
  constructor(
    readonly root: S3Root,
    private readonly keys: Keys,
    readonly silenceMs: number,
  ) {
    const options = { keepAlive: true, maxSockets: CONNECTIONS };
    this.agent = root.tls ? new https.Agent(options) : new http.Agent(options);
  }

  /**
   * @throws Full, InvalidPath, Exists, Unavailable: the server refused. Unavailable: it can't be reached.
   *   OutcomeUnknown: of a request that `commits`, the answer was lost. The signal's reason.
   */
  async ask(request: S3Request): Promise<Answer> {
    return this.repeating(request, async (call) => whole(call, await this.send(call, request)));
  }

  /** As `ask`, but a success comes with its body unread: from there on time, and the signal, are the caller's to watch. */
  async open(request: S3Request): Promise<Answer> {
    return this.repeating(request, async (call) => {
      const body = await this.send(call, request);
      const status = body.statusCode ?? 0;
      if (status >= 300) return whole(call, body);
      call.release();
      return { status, headers: body.headers, text: '', body };
    });
  }

  /** Ends every connection, also those that bodies still come over. */
  close(): void {
    this.agent.destroy();
  }

  private async repeating(request: S3Request, once: (call: Call) => Promise<Answer>): Promise<Answer> {
    const { signal, commits = false } = request;
    const purpose = this.purpose(request);
    for (const wait of [...WAITS_MS, null]) {
      signal?.throwIfAborted();
      const call = new Call(this.silenceMs, signal);
      try {
        const answer = await once(call);
        const { status } = answer;
        if (status < 300 || request.expects?.includes(status) === true) return answer;
        if (commits && UNCLEAR.has(status)) throw new NoAnswer(codeOf(answer));
        if (commits || wait === null || !PASSING.has(status)) throw refused(purpose, status, codeOf(answer));
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof NoAnswer)) throw error;
        if (commits || wait === null) throw unanswered(purpose, error, commits);
      }
      await pause(wait, signal);
    }
    throw new TypeError('the last try either answers or throws');
  }

  purpose({ action, of }: Pick<S3Request, 'action' | 'of'>): Purpose {
    const bucket = `the bucket ${this.root.bucket}`;
    return { action, of: of === undefined ? bucket : `${of} in ${bucket}` };
  }

  /** @throws NoAnswer */
  private async send(call: Call, request: S3Request): Promise<IncomingMessage> {
    const { root, agent } = this;
    const { method, key, query = {}, payload: { bytes, sha256 } = NOTHING } = request;
    // One for each call, because only its transport leads to the request itself. It holds nothing.
    const client = new Client({
      ...this.keys,
      endPoint: root.host,
      port: root.port,
      useSSL: root.tls,
      region: root.region,
      transport: { request: call.request },
      transportAgent: agent,
      retryOptions: { disableRetry: true },
    });
    const target = {
      method,
      bucketName: root.bucket,
      ...(key === undefined ? {} : { objectName: key }),
      query: Object.entries(query)
        .map(([name, value]) => `${name}=${encoded(value)}`)
        .join('&'),
      headers: {
        ...request.headers,
        ...(method === 'GET' || method === 'HEAD' ? {} : { 'content-length': bytes.length }),
      },
    };
    try {
      // Over TLS the driver leaves the body unsigned, and takes no hash of it.
      const hash = client.enableSHA256 ? sha256 : '';
      return await client.makeRequestStreamAsync(target, bytes, hash, EVERY_STATUS, root.region);
    } catch (error) {
      // Of some statuses the driver makes an error without their code, and leaves the answer unread.
      if (call.answer !== null && call.ended === null) return call.answer;
      throw call.ended ?? brokenBy(error);
    }
  }
}

/** @throws NoAnswer, Corrupt */
async function whole(call: Call, body: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      if (!Buffer.isBuffer(chunk)) throw new TypeError('an answer without an encoding gives buffers');
      size += chunk.length;
      if (size > MAX_TEXT_BYTES)
        throw new Corrupt(`the server's answer has more than ${MAX_TEXT_BYTES} bytes; is this an S3 server?`);
      chunks.push(chunk);
    }
  } catch (error) {
    if (error instanceof Corrupt) throw error;
    throw call.ended ?? brokenBy(error);
  }
  return { status: body.statusCode ?? 0, headers: body.headers, text: Buffer.concat(chunks).toString(), body: null };
}

/** As S3 signs it: what `encodeURIComponent` leaves is not all that a signature leaves. */
function encoded(value: string): string {
  return encodeURIComponent(value).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

async function pause(ms: number | null, signal: AbortSignal | undefined): Promise<void> {
  if (ms === null) return;
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

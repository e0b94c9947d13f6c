import { Corrupt, Full, OutcomeUnknown, Unavailable } from '../errors.js';
import { NoAnswer, unanswered } from './minio.errors.js';
import { MAX_OBJECT_BYTES, partBytes, PartBuffer } from './minio.part.js';
import {
  bare,
  hasVersions,
  head,
  idOf,
  TAG,
  unversioned,
  versionedFile,
  versionsOf,
  type Stated,
} from './minio.seen.js';
import { taken, type Target } from './minio.taken.js';
import { payload, type Answer, type S3Request, type Wire } from './minio.wire.js';
import { escaped, textIn, textOf } from './minio.xml.js';
import type { SeenFile } from './port.js';

const PUT = 's3:PutObject';
const NAMESPACE = 'http://s3.amazonaws.com/doc/2006-03-01/';

/** What the server said of an object that it stored. */
interface Sent {
  readonly etag: string;
  readonly version: string | null;
}

/**
 * One upload: `receive`, `commit`, and `abandon` wherever either throws. What fits into one part is sent by `commit`, in one request; more than
 * that in an upload of parts that is this one's alone, of which nothing is visible before `commit`.
 */
export class Upload {
  private readonly part = new PartBuffer();
  private readonly etags: string[] = [];
  private id: string | null = null;
  private bytes = 0;

  /** @param tag tells this upload from every other */
  constructor(
    private readonly wire: Wire,
    private readonly target: Target,
    private readonly tag: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Takes the whole body, each chunk before the next is asked for. What the body throws comes back as it is. */
  async receive(body: AsyncIterable<unknown>): Promise<void> {
    for await (const chunk of body) {
      const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
      if (!(bytes instanceof Uint8Array))
        throw new TypeError(`a body of bytes was expected; this one gave a ${typeof chunk}`);
      this.bytes += bytes.length;
      if (this.bytes > MAX_OBJECT_BYTES)
        throw new Full(
          `${JSON.stringify(this.target.path)} has more than 5 TiB, and S3 holds no such object; divide it`,
        );
      await this.take(bytes);
    }
    if (this.id !== null) await this.sendPart();
  }

  /**
   * Makes the object visible, if nothing lies there.
   *
   * @throws Exists. OutcomeUnknown: the object is there, or may come to be.
   */
  async commit(): Promise<SeenFile> {
    const sent = await this.send();
    let seen: SeenFile | null;
    try {
      seen = await this.see(sent);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      throw new OutcomeUnknown(`${this.shown} was stored, and then could not be looked at: ${error.message}`);
    }
    if (seen !== null) return seen;
    throw new Unavailable(`${this.shown} was stored, and replaced or removed by somebody else before it was looked at`);
  }

  /** Leaves nothing of what was not committed. @returns whether the server said so */
  async abandon(): Promise<boolean> {
    const { id } = this;
    if (id === null) return true;
    try {
      const request = this.request('s3:AbortMultipartUpload', 'DELETE');
      await this.wire.ask({ ...request, query: { uploadId: id }, expects: [404] });
      this.id = null;
      return true;
    } catch {
      // The server is away or refuses. What is left is no object, and `gc`'s; the answer of `put` must not depend on it.
      return false;
    }
  }

  private async take(bytes: Uint8Array): Promise<void> {
    for (let rest = bytes; rest.length > 0;) {
      const limit = partBytes(this.etags.length + 1);
      // A full part is sent when more comes: what just fills one needs no upload of parts.
      if (this.part.size === limit) await this.sendPart();
      else rest = rest.subarray(this.part.fill(rest, limit));
    }
  }

  private async sendPart(): Promise<void> {
    this.id ??= await this.begin();
    const query = { partNumber: String(this.etags.length + 1), uploadId: this.id };
    const { wire, signal, part } = this;
    const { headers } = await wire.ask({ ...this.request(PUT, 'PUT'), query, payload: part.payload(), signal });
    if (headers.etag === undefined)
      throw new Corrupt(`the server took a part of ${this.shown} and gave no etag for it`);
    this.etags.push(headers.etag);
    part.clear();
  }

  private async begin(): Promise<string> {
    const { wire, signal, headers } = this;
    const { text } = await wire.ask({ ...this.request(PUT, 'POST'), query: { uploads: '' }, headers, signal });
    return textIn(text, 'UploadId');
  }

  /** Without the caller's signal: once it is sent, what comes of it has to be known. */
  private async send(): Promise<Sent> {
    const request = this.id === null ? this.whole() : this.complete(this.id);
    try {
      const conditional = { ...request, headers: { ...request.headers, 'if-none-match': '*' }, expects: [412, 501] };
      let answer = await this.wire.ask(conditional);
      // A server without conditional writes. `refuseTaken` was right before.
      if (answer.status === 501) answer = await this.wire.ask(request);
      if (answer.status === 412) throw taken(this.target.path);
      return this.sent(request, answer);
    } catch (error) {
      if (!(error instanceof OutcomeUnknown)) throw error;
      return this.settle(error);
    }
  }

  private sent(request: S3Request, { headers, text }: Answer): Sent {
    // An upload of parts takes its time to complete, so a server says 200 first, and then how it went.
    const fault = textOf(text, 'Code');
    if (fault === 'PreconditionFailed') throw taken(this.target.path);
    if (fault !== null) throw unanswered(this.wire.purpose(request), new NoAnswer(fault), true);
    const version = headers['x-amz-version-id'];
    return {
      etag: bare(headers.etag ?? textOf(text, 'ETag') ?? ''),
      version: typeof version === 'string' ? version : null,
    };
  }

  /** The answer was lost: what became of it? @throws `unknown` where that can't be said */
  private async settle(unknown: OutcomeUnknown): Promise<Sent> {
    // An upload of parts that is abandoned can't be completed any more: whatever lies there now is what will.
    const certain = this.id !== null && (await this.abandon());
    let there: Stated | null;
    try {
      ({ there } = await head(this.wire, this.target.key, this.target.path));
    } catch {
      throw unknown; // it says more than that the server is away
    }
    if (there?.tag === this.tag) return { etag: there.etag, version: there.version };
    // With versions, ours may lie below another's.
    if (there !== null && there.version === null) throw taken(this.target.path);
    if (there !== null || !certain) throw unknown;
    throw new Unavailable(`${unknown.message}. It did not: nothing was stored`);
  }

  /** `null`: what was stored is no longer there. */
  private async see({ etag, version }: Sent): Promise<SeenFile | null> {
    const { wire } = this;
    const { key, path } = this.target;
    let id = version;
    if (id === null) {
      const [{ there }, hasOthers] = await Promise.all([head(wire, key, path), hasVersions(wire)]);
      // A server that keeps no tags leaves the etag.
      if (there === null || (there.tag ?? this.tag) !== this.tag || there.etag !== etag) return null;
      if (!(hasOthers ?? there.version !== null)) return unversioned(there);
      id = idOf(there);
    }
    const versions = await versionsOf(wire, key, path);
    const [own, ...older] = versions.slice(versions.findIndex((other) => other.id === id));
    return own?.id === id && own.etag === etag ? versionedFile([own, ...older]) : null;
  }

  private whole(): S3Request {
    return { ...this.request(PUT, 'PUT'), headers: this.headers, payload: this.part.payload(), commits: true };
  }

  private complete(id: string): S3Request {
    const parts = this.etags.map(
      (etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
    );
    const list = `<CompleteMultipartUpload xmlns="${NAMESPACE}">${parts.join('')}</CompleteMultipartUpload>`;
    return { ...this.request(PUT, 'POST'), query: { uploadId: id }, payload: payload(list), commits: true };
  }

  private request<M extends S3Request['method']>(action: string, method: M) {
    return { action, of: this.shown, method, key: this.target.key };
  }

  private get headers(): Readonly<Record<string, string>> {
    return { 'content-type': 'application/octet-stream', [TAG]: this.tag };
  }

  private get shown(): string {
    return JSON.stringify(this.target.path);
  }
}

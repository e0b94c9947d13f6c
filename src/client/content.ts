import type { Payload } from './requests.js';

/*
 * The bytes of an upload, wherever they come from, as the multipart body that the API takes.
 */

/** Bytes as they come. */
export type ByteStream = ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** What can be uploaded. A stream can be read once; a function that opens it lets a lost upload be tried again. */
export type Source = Blob | Uint8Array | ArrayBuffer | ByteStream | (() => ByteStream | Promise<ByteStream>);

/** How far an upload is, in bytes of its content. */
export interface UploadProgress {
  readonly sent: number;
  /** Null for a stream: nobody knows before its end. */
  readonly total: number | null;
}

export interface Upload {
  readonly metadata: object;
  readonly content: Source;
  /** Gives the suffix where the metadata give none. */
  readonly filename: string;
  /** Hears of it as bytes are handed over; from 0 again where the upload is tried again. Without streams: at the start and at the end. */
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
  /** Hears that the source itself failed: no attempt will mend that. */
  readonly onFailure: (error: unknown) => void;
  /** Whether this platform sends a body while it is being made. */
  readonly streams: boolean;
}

/** The body of an upload. Where the platform cannot stream, a stream is read to its end first. */
export const payloadOf = async (upload: Upload): Promise<Payload> => {
  const { content, streams, onProgress } = upload;
  if (streams && (!isBytes(content) || onProgress !== undefined)) return streamed(upload);
  return form(upload, isBytes(content) ? blobOf(content) : await collected(upload));
};

const form = ({ metadata, filename, onProgress }: Upload, blob: Blob): Payload => ({
  contentType: null,
  once: false,
  open: () => {
    onProgress?.({ sent: 0, total: blob.size });
    const body = new FormData();
    body.append('metadata', JSON.stringify(metadata));
    body.append('content', blob, filename);
    return body;
  },
});

const streamed = (upload: Upload): Payload => {
  const boundary = `lethe-${crypto.getRandomValues(new Uint32Array(4)).join('')}`;
  return {
    contentType: `multipart/form-data; boundary=${boundary}`,
    once: !isBytes(upload.content) && typeof upload.content !== 'function',
    open: () => streamOf(parts(upload, boundary)),
  };
};

async function* parts(upload: Upload, boundary: string): AsyncGenerator<Uint8Array> {
  const text = new TextEncoder();
  yield text.encode(
    `--${boundary}\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n${JSON.stringify(upload.metadata)}\r\n` +
      `--${boundary}\r\nContent-Disposition: form-data; name="content"; filename="${quoted(upload.filename)}"\r\n` +
      'Content-Type: application/octet-stream\r\n\r\n',
  );
  yield* counted(upload);
  yield text.encode(`\r\n--${boundary}--\r\n`);
}

/** As HTML writes names in forms. */
const quoted = (name: string): string =>
  name.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A').toWellFormed();

async function* counted({ content, onProgress, onFailure }: Upload): AsyncGenerator<Uint8Array> {
  const total = isBytes(content) ? blobOf(content).size : null;
  let sent = 0;
  onProgress?.({ sent, total });
  try {
    for await (const chunk of chunksOf(await opened(content))) {
      yield chunk;
      sent += chunk.byteLength;
      onProgress?.({ sent, total });
    }
  } catch (error) {
    onFailure(error);
    throw error;
  }
}

const opened = async (content: Source): Promise<ByteStream> => {
  if (isBytes(content)) return blobOf(content).stream();
  return typeof content === 'function' ? content() : content;
};

const collected = async ({ content }: Upload): Promise<Blob> =>
  new Response(streamOf(chunksOf(await opened(content)))).blob();

const isBytes = (content: Source): content is Blob | Uint8Array | ArrayBuffer =>
  content instanceof Blob || content instanceof ArrayBuffer || content instanceof Uint8Array;

const blobOf = (bytes: Blob | Uint8Array | ArrayBuffer): Blob =>
  bytes instanceof Blob ? bytes : new Blob([bytes instanceof Uint8Array ? new Uint8Array(bytes) : bytes]);

/** Not every browser iterates over a stream. */
async function* chunksOf(stream: ByteStream): AsyncGenerator<Uint8Array> {
  if (!(stream instanceof ReadableStream)) {
    yield* stream;
    return;
  }
  const reader = stream.getReader();
  let ended = false;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
    ended = true;
  } finally {
    if (ended) reader.releaseLock();
    else await reader.cancel();
  }
}

const streamOf = (chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const next = await chunks.next();
      if (next.done === true) controller.close();
      else controller.enqueue(next.value);
    },
    cancel: async () => {
      await chunks.return(undefined);
    },
  });

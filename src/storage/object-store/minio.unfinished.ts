import { seconds } from './minio.seen.js';
import type { Wire } from './minio.wire.js';
import { elements, keyIn, textIn, textOf } from './minio.xml.js';

export interface UnfinishedKey {
  readonly key: string;
  readonly id: string;
  readonly startedAt: string;
}

/**
 * Every upload of parts below the root that was begun and neither completed nor abandoned. MinIO takes a prefix for the whole key of one
 * object, and lists a bucket's uploads where none is given: those that it was sent since it started. Older ones it throws away by itself,
 * after a day. So where a prefix brings nothing, all are asked for.
 */
export async function* uploadsBelow(wire: Wire, signal?: AbortSignal): AsyncGenerator<UnfinishedKey, void, void> {
  const { prefix } = wire.root;
  let some = false;
  for await (const upload of uploads(wire, prefix, signal)) {
    some = true;
    yield upload;
  }
  if (some || prefix === '') return;
  for await (const upload of uploads(wire, '', signal)) if (upload.key.startsWith(prefix)) yield upload;
}

async function* uploads(
  wire: Wire,
  prefix: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<UnfinishedKey, void, void> {
  let from: Record<string, string> = {};
  for (;;) {
    const query = { 'encoding-type': 'url', prefix, uploads: '', ...from };
    const { text } = await wire.ask({ action: 's3:ListBucketMultipartUploads', method: 'GET', query, signal });
    for (const { content } of elements(text, 'Upload')) {
      const key = keyIn(text, textIn(content, 'Key'));
      yield { key, id: textIn(content, 'UploadId'), startedAt: seconds(textIn(content, 'Initiated'), key) };
    }
    if (textOf(text, 'IsTruncated') !== 'true') return;
    from = {
      'key-marker': keyIn(text, textIn(text, 'NextKeyMarker')),
      'upload-id-marker': textOf(text, 'NextUploadIdMarker') ?? '',
    };
  }
}

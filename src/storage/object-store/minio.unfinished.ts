import { seconds } from './minio.seen.js';
import type { Wire } from './minio.wire.js';
import { elements, keyIn, textIn, textOf } from './minio.xml.js';

export interface UnfinishedKey {
  readonly key: string;
  readonly id: string;
  readonly startedAt: string;
}

/** Every upload of parts below the root that was begun and neither completed nor abandoned. */
export async function* uploadsBelow(wire: Wire, signal?: AbortSignal): AsyncGenerator<UnfinishedKey, void, void> {
  const { prefix } = wire.root;
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

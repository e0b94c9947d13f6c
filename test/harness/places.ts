import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Client } from 'minio';

/** Where a storage's objects lie, seen behind Lethe's back. */
export interface Place {
  put(path: string, content: Buffer | string): Promise<void>;
  /** An object's bytes; null where there is none. */
  bytesAt(path: string): Promise<Buffer | null>;
}

export const onDisk = (folder: string): Place => ({
  put: async (path, content) => {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, content);
  },
  bytesAt: (path) => nullWhere('ENOENT', () => readFile(join(folder, path))),
});

export const inBucket = (client: Client, bucket: string): Place => ({
  put: async (path, content) => {
    await client.putObject(bucket, path, content);
  },
  bytesAt: (path) =>
    nullWhere('NoSuchKey', async () => {
      const parts: Buffer[] = [];
      for await (const part of await client.getObject(bucket, path)) parts.push(Buffer.from(part));
      return Buffer.concat(parts);
    }),
});

const nullWhere = async (missing: string, read: () => Promise<Buffer>): Promise<Buffer | null> => {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === missing) return null;
    throw error;
  }
};

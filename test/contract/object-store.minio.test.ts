import { buffer } from 'node:stream/consumers';
import { Client } from 'minio';
import { afterAll } from 'vitest';
import { openMinioStore } from '../../src/storage/object-store/minio.js';
import { findMinio, startMinio } from '../servers/minio.js';
import { objectStoreContract } from './object-store.contract.js';

const binary = await findMinio();
const server = binary === null ? null : await startMinio(binary);
afterAll(async () => server?.stop());

let number = 0;
const random = () => `upload${String((number += 1))}`;

if (server !== null) {
  const client = new Client({
    endPoint: '127.0.0.1',
    port: server.port,
    useSSL: false,
    accessKey: server.accessKey,
    secretKey: server.secretKey,
  });
  const { accessKey, secretKey } = server;
  for (const versioned of [false, true]) {
    objectStoreContract(versioned ? 'versioned' : 'plain', async () => {
      const bucket = `b${(number += 1)}-x`;
      await client.makeBucket(bucket);
      if (versioned) await client.setBucketVersioning(bucket, { Status: 'Enabled' });
      const root = `s3://127.0.0.1:${server.port}/${bucket}/pre/fix?tls=false`;
      const key = (path: string) => `pre/fix/${path}`;
      return {
        store: await openMinioStore({ root, accessKey, secretKey, random, create: false }),
        outside: {
          write: async (path, content) => void (await client.putObject(bucket, key(path), content)),
          remove: async (path) => client.removeObject(bucket, key(path)),
          read: async (path) => {
            try {
              return await buffer(await client.getObject(bucket, key(path)));
            } catch {
              return null;
            }
          },
          list: async () => {
            const names = new Set<string>();
            for await (const x of client.listObjects(bucket, '', true, { IncludeVersion: versioned }))
              names.add(x.name.slice(8));
            return [...names];
          },
        },
        cleanup: async () => {},
      };
    });
  }
}

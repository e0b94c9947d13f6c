import { createInterface } from 'node:readline';
import { connect, type FileRecord, type Lethe } from 'lethe';
import { z } from 'zod';
import { storageNamed } from './importing.js';

/*
 * Registers LaminDB's artifacts, one a line of JSON on stdin (docs/migrating.md says how to write them), with the visibility that they had
 * there. One with a semantic key is registered where it lies, in the storage that is named; one with a virtual key is uploaded. Started again, it repeats the
 * same commands, which changes nothing.
 */

const artifact = z.object({
  uid: z.string(),
  key: z.string().nullable(),
  keyIsVirtual: z.boolean(),
  description: z.string().nullable(),
  visibility: z.literal([1, 0, -1]),
  /** Where its bytes are on this machine: of a virtual key alone. */
  path: z.string().nullable(),
});
type Artifact = z.infer<typeof artifact>;

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error('usage: import-lamindb <name of the storage> < artifacts.ndjson');

const registered = async (lethe: Lethe, storage: string, one: Artifact): Promise<FileRecord> => {
  const { uid, key, keyIsVirtual, description, visibility, path } = one;
  const fields = { description, visibility: visibility === 0 ? 0 : 1, onDuplicate: 'create' } as const;
  const how = { idempotencyKey: `lamindb-${uid}`, reason: `artifact ${uid} of LaminDB` };
  if (keyIsVirtual || key === null) {
    if (path === null) throw new Error(`artifact ${uid} has a virtual key and no path`);
    return lethe.files.add(path, { ...fields, ...how, key });
  }
  return lethe.files.register({ ...fields, path: key, storage }, how);
};

await using lethe = await connect({ url: process.env['LETHE_URL'] ?? 'http://127.0.0.1:4270', actor: 'import' });
const { uid: storage } = await storageNamed(lethe, name);
const counts = new Map<number, number>();
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === '') continue;
  const one = artifact.parse(JSON.parse(line));
  const file = await registered(lethe, storage, one);
  // A key of its own: where somebody took it out of the trash since, it stays out.
  if (one.visibility === -1)
    await file.delete({
      permanent: false,
      idempotencyKey: `lamindb-${one.uid}-trash`,
      reason: 'in the trash of LaminDB',
    });
  counts.set(one.visibility, (counts.get(one.visibility) ?? 0) + 1);
}
const of = (visibility: number): number => counts.get(visibility) ?? 0;
console.log(`${of(1)} visible, ${of(0)} hidden, ${of(-1)} in the trash`);

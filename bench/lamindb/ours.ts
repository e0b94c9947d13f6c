import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type FileRecord } from 'lethe';

/*
 * A script as a user would write it: the files of a folder added, trashed, restored, trashed again and purged, one after another. theirs.py is
 * the same with LaminDB. Called as `node ours.js <data folder> <files>`; what each step took stands on its output, and how many files
 * were visible and how many objects lay in the data folder after it.
 */

const [data = '', files = ''] = process.argv.slice(2);
const steps: { step: string; ms: number; visible: number; stored: number }[] = [];
const began = performance.now();
await using lethe = await connect({ data });
await measured('open', began);

const records: FileRecord[] = [];
const names = readdirSync(files).sort();
await measured('add', performance.now(), async () => {
  for (const name of names) records.push(await lethe.files.add(join(files, name), { key: `run/${name}` }));
});
await measured('trash', performance.now(), async () => {
  for (const record of records) await record.delete();
});
await measured('restore', performance.now(), async () => {
  for (const record of records) await record.restore();
});
await measured('trash again', performance.now(), async () => {
  for (const record of records) await record.delete();
});
await measured('purge', performance.now(), async () => {
  for (const record of records) await record.delete({ permanent: true });
});
process.stdout.write(JSON.stringify(steps));

async function measured(step: string, from: number, run?: () => Promise<void>): Promise<void> {
  await run?.();
  const ms = performance.now() - from;
  const stored = readdirSync(data, { recursive: true }).filter((path) => String(path).endsWith('.csv')).length;
  steps.push({ step, ms, visible: await lethe.files.filter().count(), stored });
}

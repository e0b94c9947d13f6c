import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from 'lethe';
import { importPaths, report, storageNamed } from './importing.js';

/*
 * Registers every file of a folder that is a storage of the service at LETHE_URL. Run it on the machine that has the folder.
 */

const [name] = process.argv.slice(2);
if (name === undefined) throw new Error('usage: import-folder <name of the storage>');

/**
 * Links are left out: Lethe follows none. Folder by folder: `opendir` with `recursive: true` gives 32 entries of each folder below, in Node 20.20, and no error.
 * @param below what stands before a name: empty, or the path of the folder with a slash at its end
 */
async function* filesIn(folder: string, below = ''): AsyncGenerator<string> {
  for await (const entry of await opendir(folder)) {
    const path = `${below}${entry.name}`;
    if (path === '.lethe') continue; // Lethe's own
    if (entry.isDirectory()) yield* filesIn(join(folder, entry.name), `${path}/`);
    else if (entry.isFile()) yield path;
  }
}

await using lethe = await connect({ url: process.env['LETHE_URL'] ?? 'http://127.0.0.1:4270', actor: 'import' });
const { uid, data } = await storageNamed(lethe, name);
const [, folder] = /^file:(.+)$/.exec(data.root) ?? [];
if (folder === undefined)
  throw new Error(`${name} is at ${data.root}, which names no folder: name one, or use import-bucket`);
report(await importPaths(lethe, uid, filesIn(folder)));

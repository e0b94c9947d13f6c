import { onDisk } from './filesystem.errors.js';
import { Folder, type Entry } from './filesystem.folder.js';
import { seenFrom } from './filesystem.seen.js';
import type { SeenObject } from './port.js';

/** How many files of a folder a listing looks at at once. */
const LOOKS = 32;

/** Every object below `folder`, which stays open, by path in code point order. It holds the names of the folders on the way, and no more. */
export async function* filesBelow(
  folder: Folder,
  signal: AbortSignal | undefined,
): AsyncGenerator<SeenObject, void, void> {
  const entries = await onDisk('list', folder.path, () => folder.entries());
  for (const run of runs(entries)) {
    const looked = await onDisk('list', folder.path, () =>
      Promise.all(run.map(async (entry) => ({ entry, stats: await folder.look(entry.name) }))),
    );
    for (const { entry, stats } of looked) {
      signal?.throwIfAborted();
      if (entry.kind === 'file' && stats?.isFile() === true)
        yield { path: `${folder.path}${entry.name}`, ...seenFrom(stats) };
      if (entry.kind === 'file' || entry.name === '.lethe') continue;
      const child = await onDisk('list', folder.path, () => folder.child(entry.name));
      if (!(child instanceof Folder)) continue; // gone, or no longer a folder
      try {
        yield* filesBelow(child, signal);
      } finally {
        await child.close();
      }
    }
  }
}

/** Files that follow each other, a few at a time; each folder alone, so that what was seen of a file is not older than a folder's listing. */
function* runs(entries: readonly Entry[]): Generator<Entry[], void, void> {
  let run: Entry[] = [];
  for (const entry of entries) {
    if (run.length === LOOKS || (entry.kind === 'folder' && run.length > 0)) {
      yield run;
      run = [];
    }
    if (entry.kind === 'folder') yield [entry];
    else run.push(entry);
  }
  if (run.length > 0) yield run;
}

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

export interface Found {
  readonly path: string;
  /** Below the folder, divided by `/`. */
  readonly relative: string;
  readonly size: number;
}

/**
 * The files of a folder and all below it, in the order of their names. Links are not followed: they could lead anywhere, and round in circles.
 * @param skipped hears of each entry that is no file and no folder
 */
export const walk = async (
  folder: string,
  skipped: (path: string, what: string) => void,
  below = '',
): Promise<Found[]> => {
  const found: Found[] = [];
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const relative = below + entry.name;
    if (entry.isDirectory()) found.push(...(await walk(path, skipped, `${relative}/`)));
    else if (entry.isFile()) found.push({ path, relative, size: (await stat(path)).size });
    else skipped(path, entry.isSymbolicLink() ? 'a symbolic link' : 'no regular file');
  }
  return found;
};

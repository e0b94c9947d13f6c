import { isUtf8 } from 'node:buffer';
import { InvalidPath } from '../errors.js';

/** The names of one path, from the root down. */
export type Names = readonly string[];

/** What most file systems take as one name, and what S3 takes as one key. */
const MAX_NAME_BYTES = 255;
const MAX_PATH_BYTES = 1024;

/** Lone surrogates are no text: written as UTF-8 they would all become the same replacement character, so two paths one file. */
const LONE_SURROGATE = /\p{Surrogate}/u;
const CONTROL_CHARACTER = /\p{Control}/u;

/**
 * The path of one file, taken apart.
 *
 * @throws InvalidPath with a sentence that names what is wrong.
 */
export function parseFile(path: string): { folder: Names; name: string } {
  const names = path.split('/');
  const name = names.pop() ?? '';
  if (path !== '' && name === '') throw new InvalidPath(`${show(path)} ends in "/" and so is a folder; name one file`);
  refuse(path);
  return { folder: names, name };
}

/**
 * The path of a folder, taken apart: `''` is the root, every other ends in `/` (so that `a/` never takes `ab`).
 *
 * @throws InvalidPath with a sentence that names what is wrong.
 */
export function parseFolder(path: string): Names {
  if (path === '') return [];
  if (!path.endsWith('/')) throw new InvalidPath(`${show(path)} does not end in "/"; a folder's path does`);
  refuse(path.slice(0, -1));
  return path.slice(0, -1).split('/');
}

/**
 * A name as a folder's listing gives it, as text; `null` if no path of this store can lead there. `folder` is the path that it is in, with its
 * `/` at the end. Whoever wrote such a name did it behind the store's back; it is none of the store's objects.
 */
export function nameable(folder: string, name: Buffer): string | null {
  if (!isUtf8(name)) return null;
  const text = name.toString('utf8');
  return isFile(folder + text) ? text : null;
}

/** Whether this is the path of one file. What others stored under another name is none of the store's objects. */
export function isFile(path: string): boolean {
  return faultOf(path) === null;
}

function refuse(path: string): void {
  const fault = faultOf(path);
  if (fault !== null) throw new InvalidPath(fault);
}

function faultOf(path: string): string | null {
  if (path === '') return 'the path is empty; name a file or a folder below the root';
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) return `the path has ${bytes} bytes; at most ${MAX_PATH_BYTES} can be stored`;
  if (path.startsWith('/')) return `${show(path)} begins with "/"; paths are relative to the storage's root`;
  if (LONE_SURROGATE.test(path)) return `${show(path)} is not well-formed Unicode: it has half of a surrogate pair`;
  if (CONTROL_CHARACTER.test(path)) return `${show(path)} has a control character in it`;
  if (path.includes('\\')) return `${show(path)} has a backslash in it; parts are divided by "/"`;
  for (const name of path.split('/')) {
    if (name === '') return `${show(path)} has an empty part: two "/" in a row, or one at its end`;
    if (name === '.' || name === '..')
      return `${show(path)} has the part "${name}"; paths lead straight down from the root`;
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
      return `a part of ${show(path)} has ${Buffer.byteLength(name)} bytes; at most ${MAX_NAME_BYTES} can be stored`;
    }
  }
  return null;
}

/** For an error's sentence: one line, whatever is in it, and not too long. */
function show(path: string): string {
  return JSON.stringify(path.length > 100 ? `${path.slice(0, 100)}…` : path);
}

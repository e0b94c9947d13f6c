/*
 * Where objects lie, and which of them share bytes. A location is a storage's place followed by the object's path: text, in which `/` at
 * the end says folder. Two objects overlap where they are the same, one lies inside the other, or a folder around it.
 */

/** Which paths of one storage overlap a location: all of them, or these and those that begin with `under`. */
export type Span =
  { readonly all: true } | { readonly all: false; readonly paths: readonly string[]; readonly under: string | null };

/** @returns null where the storage at `place` holds nothing that could overlap `location` */
export const spanIn = (place: string, location: string): Span | null => {
  if (location.startsWith(place)) {
    const path = location.slice(place.length);
    if (path === '') return { all: true };
    return { all: false, paths: [path, ...foldersAround(path)], under: path.endsWith('/') ? path : null };
  }
  return location.endsWith('/') && place.startsWith(location) ? { all: true } : null;
};

export const inSpan = (span: Span, path: string): boolean =>
  span.all || span.paths.includes(path) || (span.under !== null && path.startsWith(span.under));

/** `a/b/c` → `a/`, `a/b/`. */
const foldersAround = (path: string): string[] => {
  const folders: string[] = [];
  for (let slash = path.indexOf('/'); slash >= 0 && slash < path.length - 1; slash = path.indexOf('/', slash + 1)) {
    folders.push(path.slice(0, slash + 1));
  }
  return folders;
};

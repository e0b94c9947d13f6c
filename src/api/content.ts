/* The small rules of HTTP around bytes (RFC 9110): ranges, validators, a file's name. */

/** Whether `If-None-Match` names this entity; comparison is weak, as it is for this header. */
export const matchesEtag = (header: string | undefined, etag: string): boolean => {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  return header.split(',').some((item) => item.trim().replace(/^W\//, '') === etag);
};

/** Of bytes, both ends in it. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The one range that is served.
 * @returns null for the whole: no range, several, one that is malformed, or an `If-Range` that does not match
 */
export const rangeOf = (
  header: string | undefined,
  ifRange: string | string[] | undefined,
  etag: string,
  size: number,
): Range | 'unsatisfiable' | null => {
  if (header === undefined || (ifRange !== undefined && ifRange !== etag)) return null;
  const [, first, last] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.replaceAll(' ', '')) ?? [];
  if (first === undefined || last === undefined || (first === '' && last === '')) return null;
  if (first === '') {
    const length = Math.min(Number(last), size);
    return length === 0 ? 'unsatisfiable' : { start: size - length, end: size - 1 };
  }
  const start = Number(first);
  const end = last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (last !== '' && Number(last) < start) return null;
  return start >= size ? 'unsatisfiable' : { start, end };
};

/** An attachment under the last part of a key: RFC 6266, in UTF-8 by RFC 8187 and in ASCII for who does not know that. */
export const contentDisposition = (key: string): string => {
  const name = key.replace(/\/+$/, '').split('/').at(-1) ?? key;
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
};

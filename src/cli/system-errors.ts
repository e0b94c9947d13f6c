/* What the operating system refuses, in words. */

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'no right to it',
  EPERM: 'no right to it',
  EEXIST: 'there is something by that name already',
  EISDIR: 'it is a folder, not a file',
  ENOTDIR: 'a part of it is a file, not a folder',
  ENOSPC: 'no space is left on its disk',
  EROFS: 'its disk can only be read',
};

/**
 * What an error says of a file or folder.
 * @param name what the caller calls it; else the path in the error
 * @returns null where nothing is named, or the reason has no words of ours
 */
export const systemErrorText = (error: unknown, name: string | null = null): string | null => {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return null;
  const path = name ?? ('path' in error && typeof error.path === 'string' ? error.path : null);
  const reason = REASONS[error.code];
  return reason === undefined || path === null ? null : `${path === '' ? "''" : path}: ${reason}`;
};

/** Suffixes of compression, which say little without the one before them: `.tar.gz`. */
const COMPRESSED = new Set(['gz', 'bz2', 'xz', 'zst', 'lz4', 'br', 'zip', 'bgz', 'Z']);
/** Formats that name themselves in two parts: `.ome.tif`, `.anndata.zarr` (LaminDB keeps these whole, too). */
const PAIRED = new Map([
  ['ome', new Set(['tif', 'tiff', 'zarr', 'xml', 'btf'])],
  ['anndata', new Set(['zarr'])],
  ['mudata', new Set(['zarr'])],
  ['spatialdata', new Set(['zarr'])],
  ['vitessce', new Set(['json'])],
  ['raw', new Set(['h5'])],
]);

export const SUFFIX = /^(\.[A-Za-z0-9_+-]{1,30}){1,3}$/;

/** The suffix of a file's or folder's name, whole where its parts belong together; null where there is none. */
export const suffixOf = (name: string): string | null => {
  const base = name.replace(/\/+$/, '').split('/').at(-1) ?? '';
  const parts = base.replace(/^\.+/, '').split('.').slice(1);
  const last = parts.at(-1);
  if (last === undefined) return null;
  const before = parts.at(-2);
  const joined = before !== undefined && (COMPRESSED.has(last) || PAIRED.get(before)?.has(last) === true);
  const suffix = joined ? `.${before}.${last}` : `.${last}`;
  if (SUFFIX.test(suffix)) return suffix;
  return SUFFIX.test(`.${last}`) ? `.${last}` : null;
};

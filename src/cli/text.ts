/* How values read in a terminal. */

const UNSAFE = /[\p{Control}\u202a-\u202e\u2066-\u2069]/gu;
const NAMED: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Text from a record on one line. Control characters (a key may hold what moves the cursor or hides the rest) and those that turn the
 * direction of writing are shown, not sent.
 */
export const clean = (text: string): string =>
  text.replace(UNSAFE, (char) => NAMED[char] ?? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** A value of a record as a cell: nothing where it is absent. */
export const cellOf = (value: unknown): string => {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return clean(value);
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return clean(value.join(','));
  return clean(JSON.stringify(value));
};

const UNITS = ['KB', 'MB', 'GB', 'TB', 'PB'];

/** `2.2 KB`, in steps of 1,024. */
export const sizeText = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${UNITS[unit] ?? ''}`;
};

/** With a full stop at its end, where it has none. */
export const sentence = (text: string): string => (/[.?!]$/.test(text) ? text : `${text}.`);

/** `1 record`, `3 records`. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`;

const NOUNS: Readonly<Record<string, string>> = {
  files: 'file',
  datasets: 'dataset',
  storages: 'storage',
  users: 'user',
  transforms: 'transform',
  runs: 'run',
  labels: 'label',
};

/** A record in a sentence: `file heBmDcUZSbbsRR6dMz2r`. One of the config's registries has no singular: `models record …`. */
export const named = ({ registry, uid }: { readonly registry: string; readonly uid: string }): string =>
  `${NOUNS[registry] ?? `${registry} record`} ${uid}`;

/** `File`, at the beginning of a sentence. */
export const capitalNoun = (registry: string): string => {
  const noun = NOUNS[registry] ?? registry;
  return noun.charAt(0).toUpperCase() + noun.slice(1);
};

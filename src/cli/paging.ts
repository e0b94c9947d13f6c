import { InvalidArgumentError } from 'commander';

/** The most that one page takes. */
export const PAGE = 1_000;

/** The value of `--limit`. */
export const wholeNumber = (text: string): number => {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number from 1.');
};

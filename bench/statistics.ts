/** The value that `share` (0 to 1) of the values do not exceed, by the nearest rank; NaN of none. */
export const quantile = (values: Iterable<number>, share: number): number => {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
};

export const median = (values: readonly number[]): number => {
  const middle = values.length / 2;
  const sorted = values.toSorted((a, b) => a - b);
  if (!Number.isInteger(middle)) return sorted[Math.floor(middle)] ?? Number.NaN;
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2;
};

/** Median, lowest and highest, as the reports show them. */
export const spread = (values: readonly number[], digits: number): string =>
  `${fixed(median(values), digits)} (${fixed(Math.min(...values), digits)} to ${fixed(Math.max(...values), digits)})`;

export const fixed = (value: number, digits: number): string =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

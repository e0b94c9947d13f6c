const DURATION = /^P(?=.)(?:(\d{1,6})W)?(?:(\d{1,6})D)?(?:T(?=.)(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,9})S)?)?$/;

/** The same, as a JSON Schema says it. */
export const DURATION_PATTERN = DURATION.source;

const MS = [7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1_000];

/** An ISO 8601 duration in milliseconds; null where it is none. Years and months have no fixed length and are refused. */
export const durationMs = (text: string): number | null => {
  const parts = DURATION.exec(text)?.slice(1);
  if (parts === undefined) return null;
  return MS.reduce((sum, ms, index) => sum + ms * Number(parts[index] ?? 0), 0);
};

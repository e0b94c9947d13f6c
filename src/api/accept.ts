import type { FastifyRequest } from 'fastify';
import { Problem } from './problem.js';

/** What one entry of an Accept header says: `text/*;q=0.5`. */
interface Wish {
  readonly type: string;
  readonly quality: number;
}

/**
 * The media type that the caller wants most, of those that a route has (RFC 9110, 12.5.1). Without a wish it is the first, and so it is
 * where several are wanted alike.
 * @throws Problem `not-acceptable` where the caller takes none of them
 */
export const wantedOf = <T extends string>(request: FastifyRequest, offered: readonly [T, ...T[]]): T => {
  const { accept } = request.headers;
  if (accept === undefined || accept.trim() === '') return offered[0];
  const wishes = accept.split(',').map(wishOf);
  const ranked = offered
    .map((type) => ({ type, quality: qualityOf(type, wishes) }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality);
  const [best] = ranked;
  if (best !== undefined) return best.type;
  throw new Problem('not-acceptable', `This comes as ${offered.join(', ')}; Accept asks for '${accept}'.`);
};

const wishOf = (entry: string): Wish => {
  const [type = '', ...parameters] = entry.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? '1';
  return { type, quality: /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(weight) ? Number(weight) : 0 };
};

/** The most specific entry that speaks of a type decides; one that none speaks of is not wanted. */
const qualityOf = (type: string, wishes: readonly Wish[]): number => {
  for (const range of [type, `${type.split('/', 1)[0] ?? ''}/*`, '*/*']) {
    const wish = wishes.find((one) => one.type === range);
    if (wish !== undefined) return wish.quality;
  }
  return 0;
};

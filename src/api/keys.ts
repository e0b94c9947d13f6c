import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

/** What a key may be allowed. None of them contains another. */
export const RIGHTS = ['read', 'write', 'purge', 'admin'] as const;
export type Right = (typeof RIGHTS)[number];

/** Somebody who may call, known by the SHA-256 of a key that is kept nowhere here. */
export interface ApiKey {
  /** The actor of all that the key does. */
  readonly subject: string;
  /** Hex, in lower case. */
  readonly sha256: string;
  readonly may: readonly Right[];
}

/** What `sha256sum` says of an empty input. */
const OF_NOTHING = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

const keySchema = z.strictObject({
  // It stands in the history as an actor does, and may not pass for the service itself.
  subject: z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/, 'must have 1 to 255 printable ASCII characters')
    .refine(
      (subject) => !subject.startsWith('system:'),
      'must not begin with system: (the service itself acts by such names)',
    ),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i, 'must be the SHA-256 of the key, in 64 hex digits')
    .toLowerCase()
    .refine((sha256) => sha256 !== OF_NOTHING, 'is the SHA-256 of no key at all: was a variable empty?'),
  may: z
    .array(z.enum(RIGHTS))
    .min(1, `must name at least one of ${RIGHTS.join(', ')}`)
    .refine((may) => new Set(may).size === may.length, 'must not name a right twice'),
});

/** `apiKeys` of the configuration. One key has one subject, else nobody could say who it was; a subject may have two keys, to change over. */
export const apiKeysSchema = z.array(keySchema).superRefine((keys, context) => {
  keys.forEach(({ sha256 }, index) => {
    const first = keys.findIndex((other) => other.sha256 === sha256);
    if (first === index) return;
    context.addIssue({
      code: 'custom',
      path: [index, 'sha256'],
      message: `must not come twice: apiKeys[${first}] has the same key`,
    });
  });
});

/** The key that a token is. It is compared with each, to the end: how long that takes tells nobody how near a guess was. */
export const keyOf = (keys: readonly ApiKey[], token: string): ApiKey | null => {
  const digest = createHash('sha256').update(token).digest();
  let found: ApiKey | null = null;
  for (const key of keys) {
    if (timingSafeEqual(digest, Buffer.from(key.sha256, 'hex'))) found = key;
  }
  return found;
};

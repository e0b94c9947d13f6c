import { Exists, Full, InvalidPath, OutcomeUnknown, Unavailable } from '../errors.js';

/** What was asked of the server, in the words of its own access rules, and of what: `s3:PutObject`, `"a/b" in the bucket lab`. For errors alone. */
export interface Purpose {
  readonly action: string;
  readonly of: string;
}

/** What to do about a refusal. */
const HINTS: Readonly<Record<string, string>> = {
  AccessDenied: 'Give the access key the right to do so, or look for a lock on the object',
  AllAccessDisabled: 'Give the access key the right to do so',
  AuthorizationHeaderMalformed: "Name the bucket's own region in the root (&region=…)",
  InvalidAccessKeyId: 'The server does not know the access key; name another',
  NoSuchBucket: 'Make the bucket, or name another in the root',
  PermanentRedirect: "Name the bucket's own endpoint and region in the root",
  RequestTimeTooSkewed: "Set this machine's clock",
  SignatureDoesNotMatch: 'The secret key is not that of the access key; look at both',
  SlowDown: 'Send less at once, and try again later',
};

const FULL = new Set([
  'InsufficientCapacity',
  'QuotaExceeded',
  'XMinioAdminBucketQuotaExceeded',
  'XMinioDiskFull',
  'XMinioStorageFull',
]);

const NO_SUCH_NAME = new Set(['InvalidObjectName', 'KeyTooLongError', 'XMinioInvalidObjectName']);

/** The name is that of a folder for this server, or goes through a file. */
const ON_THE_WAY = new Set(['XMinioObjectExistsAsDirectory', 'XMinioParentIsObject']);

/** No connection came about: nothing was sent. */
const NEVER_SENT = new Set([
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** No whole answer came. `code` is the system's, or `TimedOut`. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
  constructor(readonly code: string) {
    super(code);
  }
}

/** The server's refusal in the port's words. Its own message is left out: some servers quote the request in it. */
export function refused(
  { action, of }: Purpose,
  status: number,
  code: string,
): Unavailable | Full | Exists | InvalidPath {
  const said = `${code}: ${action} of ${of}`;
  if (status === 507 || FULL.has(code))
    return new Full(`${said}. Nothing was stored; free some space or raise the quota, then try again`);
  if (NO_SUCH_NAME.has(code)) return new InvalidPath(`${said}. This server can't hold such a name; choose another`);
  if (ON_THE_WAY.has(code)) return new Exists(`${said}. Something lies there already, and stays; choose another path`);
  const hint = HINTS[code];
  return new Unavailable(hint === undefined ? `${said} (HTTP ${status})` : `${said}. ${hint}`);
}

/** @param commits whether it is unknown, after such an end, if something came to be */
export function unanswered(
  { action, of }: Purpose,
  { code }: NoAnswer,
  commits: boolean,
): Unavailable | OutcomeUnknown {
  const said = `${code}: ${action} of ${of}: the server gave no whole answer`;
  return commits && !NEVER_SENT.has(code)
    ? new OutcomeUnknown(`${said}; it may have done it all the same. Look what lies there, then try again`)
    : new Unavailable(`${said}. Is it running, and reachable from here?`);
}

/** What broke a connection, by its code. */
export function brokenBy(error: unknown): NoAnswer {
  if (error instanceof NoAnswer) return error;
  const code = error instanceof Error && 'code' in error ? error.code : null;
  return new NoAnswer(typeof code === 'string' ? code : 'ConnectionLost');
}

/*
 * The HTTP API, as any client calls it. The key stays in this tab's session.
 */

const KEY = 'lethe.key';

/** An answer that is a problem (RFC 9457). */
export class Refused extends Error {
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

export const hasKey = () => sessionStorage.getItem(KEY) !== null;
export const keepKey = (key) => sessionStorage.setItem(KEY, key);
export const forgetKey = () => sessionStorage.removeItem(KEY);

/** The last position that a command of this page was answered with: no list is read from before it, whichever process answers. */
let seen = null;

const newKey = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');

const send = async (method, path, headers, body) => {
  const sent = { ...headers };
  if (hasKey()) sent.Authorization = `Bearer ${sessionStorage.getItem(KEY)}`;
  if (seen !== null) sent['X-Min-Position'] = seen;
  const answer = await fetch(`/v1${path}`, { method, headers: sent, body, cache: 'no-store' });
  if (answer.ok) return answer;
  const problem = (answer.headers.get('content-type') ?? '').includes('json')
    ? await answer.json()
    : { title: 'Failed', detail: `HTTP ${answer.status}`, correlationId: '', code: 'internal' };
  throw new Refused(problem);
};

/** @param {Record<string, string | null | undefined>} values left out where empty */
export const query = (values) => {
  const said = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== '');
  return said.length === 0 ? '' : `?${new URLSearchParams(said)}`;
};

/** @throws {Refused} */
export const read = async (path) => (await send('GET', path, {})).json();

/** The bytes behind a path. @throws {Refused} */
export const readBlob = async (path) => (await send('GET', path, {})).blob();

/** @param {{json?: unknown, headers?: Record<string, string>}} options @throws {Refused} */
export const command = async (method, path, { json, headers = {} } = {}) => {
  const sent = { 'Idempotency-Key': newKey(), ...headers };
  if (json !== undefined) sent['Content-Type'] = 'application/json';
  const answer = await send(method, path, sent, json === undefined ? undefined : JSON.stringify(json));
  seen = answer.headers.get('x-position') ?? seen;
  return answer.json();
};

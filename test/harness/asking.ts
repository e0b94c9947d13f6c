import { expect } from 'vitest';
import { upload, type Answer, type RequestOptions, type RunningService } from './service.js';
import { until } from './until.js';

// What answers hold is looked into freely; what is expected, is stated.
export type Row = Answer['body'];

export interface Ref {
  readonly registry: string;
  readonly uid: string;
}

export const at = ({ registry, uid }: Ref): string => `/v1/${registry}/${uid}`;
export const refOf = ({ registry, uid }: Ref): Ref => ({ registry, uid });

/** Waits until the purge has ended. */
export const ENDED = { prefer: 'wait=20' };

/** Content that no other file of this test has: the same again would be no new record. */
const freshContent = ((): (() => string) => {
  let serial = 0;
  return () => `content ${(serial += 1)}`;
})();

/** What a user does to a service, in few words; each expects it to succeed, but for `call` and `remove`. */
export class Asking {
  constructor(readonly service: RunningService) {}

  call(method: string, path: string, options?: RequestOptions): Promise<Answer> {
    return this.service.request(method, path, options);
  }

  /** A new record, by its registry. */
  async register(registry: string, json: object = {}): Promise<Row> {
    return created(await this.call('POST', `/v1/${registry}`, { json }));
  }

  /** A new file of Lethe's own. */
  async file(metadata: object = {}, content = freshContent()): Promise<Row> {
    return created(await this.send(metadata, content));
  }

  send(metadata: object, content: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.call('POST', '/v1/files', { body: upload(metadata, content), headers });
  }

  async trash(record: Ref): Promise<Row> {
    return outcome(await this.call('DELETE', at(record)), 'trashed').record;
  }

  remove(record: Ref, query = '', headers: Record<string, string> = ENDED): Promise<Answer> {
    return this.call('DELETE', `${at(record)}?permanent=true${query}`, { headers });
  }

  /** Purges it. @returns the receipt */
  async purge(record: Ref, query = ''): Promise<Row> {
    return outcome(await this.remove(record, query), 'purged').receipt;
  }

  async get(record: Ref): Promise<Row> {
    return (await this.call('GET', at(record))).body;
  }

  /** Its row in the purge saga. */
  async purgeOf({ registry, uid }: Ref): Promise<Row> {
    return (await this.call('GET', `/v1/purges/${registry}/${uid}`)).body;
  }

  purgeIn(record: Ref, state: string): Promise<Row> {
    return until(`the purge of ${record.registry}/${record.uid} is ${state}`, async () => {
      const purge = await this.purgeOf(record);
      return purge.state === state && purge;
    });
  }

  async historyOf(record: Ref): Promise<Row[]> {
    return (await this.call('GET', `${at(record)}/history`)).body.items;
  }

  async typesOf(record: Ref): Promise<string[]> {
    return (await this.historyOf(record)).map(({ type }) => type);
  }

  async uidsOf(registry: string, query: string): Promise<string[]> {
    const answer = await this.call('GET', `/v1/${registry}?limit=1000&${query}`);
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body.items.map(({ uid }: Row) => uid);
  }

  /** What `act` answers; it must have appended nothing to the log. */
  async appendsNothing(act: () => Promise<Answer>): Promise<Answer> {
    const before = await this.head();
    const answer = await act();
    expect(await this.head()).toBe(before);
    return answer;
  }

  private async head(): Promise<string> {
    return (await this.call('GET', '/v1/users?limit=1')).body.position;
  }
}

export const created = (answer: Answer): Row => {
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  return answer.body.record;
};

export const outcome = (answer: Answer, expected: string): Row => {
  expect(answer.body.outcome, JSON.stringify(answer.body)).toBe(expected);
  return answer.body;
};

/** A refusal; `names` must be in its sentence. */
export const expectRefusal = ({ status, body }: Answer, code: string, expected: number, ...names: string[]): void => {
  expect([status, body.code], JSON.stringify(body)).toEqual([expected, code]);
  for (const name of names) expect(body.detail).toContain(name);
};

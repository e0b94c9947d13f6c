import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Answer, RunningService } from './service.js';
import { until } from './until.js';

/** A request that must be refused: how it is sent, and what has to come back. */
export interface Refused {
  readonly name: string;
  readonly send: () => Promise<Answer>;
  readonly status: number;
  readonly code: string;
  /** Where the faults are, each in `errors`; a text ends in `…` where only its beginning counts. */
  readonly errors?: readonly string[];
  /** Further words that its sentence must have, so that it helps. */
  readonly detail?: RegExp;
}

/** Every file below a folder, links not followed. */
export const filesBelow = async (folder: string): Promise<string[]> => {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
};

/** The log's head: every list says it, where nothing else is going on. */
const headOf = async (service: RunningService): Promise<string> => {
  const answer = await service.request('GET', '/v1/users?limit=1');
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return answer.headers.get('x-position') ?? '';
};

/** What a service holds: the log's head, and the files below these folders, unfinished ones too. */
export const heldBy = async (
  service: RunningService,
  folders: readonly string[],
): Promise<{ head: string; files: string[] }> => ({
  head: await headOf(service),
  files: (await Promise.all(folders.map(filesBelow))).flat(),
});

/** The same while nothing is being written: the service notes now and then how far its log has come, and puts that together where uploads are. */
export const heldAtRest: typeof heldBy = (service, folders) =>
  until('nothing is being written', async () => {
    const held = await heldBy(service, folders);
    return held.files.every((file) => !file.includes('/.lethe/tmp/')) && held;
  });

/** Sends it, and states all that the contract says of a refusal: the problem in its one shape, and nothing written. */
export const expectRefused = async (
  service: RunningService,
  folders: readonly string[],
  { send, status, code, errors, detail }: Refused,
): Promise<Answer> => {
  const before = await heldAtRest(service, folders);
  const answer = await send();
  const said = JSON.stringify(answer.body);
  expect([answer.status, answer.body.code], said).toEqual([status, code]);
  expect(answer.headers.get('content-type'), said).toMatch(/^application\/problem\+json(;|$)/);
  expect(answer.body, said).toMatchObject({
    type: `urn:lethe:${code}`,
    status,
    title: expect.stringMatching(/^[A-Z]/),
  });
  // A sentence, for a person: neither the name of an error nor the place in the code.
  expect(answer.body.detail, said).toMatch(/^\S.{15,}\S$/s);
  expect(said).not.toMatch(/node_modules|\.js:\d|\bat \w+ \(|FST_/);
  expect(answer.body.correlationId, said).toMatch(/^[\x20-\x7e]{1,255}$/);
  expect(answer.body.correlationId).toBe(answer.headers.get('x-correlation-id'));
  if (detail !== undefined) expect(said).toMatch(detail);
  if (code === 'invalid') expectFaults(answer.body.errors, errors);
  await until('nothing is left behind', async () => {
    const { files } = await heldBy(service, folders);
    return JSON.stringify(files) === JSON.stringify(before.files);
  });
  expect(await headOf(service)).toBe(before.head);
  return answer;
};

/** A fault's place is a JSON Pointer, a query parameter after `?`, or a header's name. */
const PLACE = /^(|\/.*|\?.*|[a-z]+(-[a-z]+)*)$/s;

const expectFaults = (faults: readonly { path: string; message: string }[], expected: readonly string[] = []): void => {
  const said = JSON.stringify(faults).slice(0, 2_000);
  expect(faults.length, said).toBeGreaterThan(0);
  for (const { path, message } of faults) {
    expect(path, said).toMatch(PLACE);
    expect(message, said).toMatch(/\S/);
  }
  const places = faults.map(({ path }) => path);
  for (const place of expected) {
    const isThere = place.endsWith('…')
      ? places.some((path) => path.startsWith(place.slice(0, -1)))
      : places.includes(place);
    expect(isThere, `${place} in ${said}`).toBe(true);
  }
};

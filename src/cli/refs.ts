import { InvalidArgumentError } from 'commander';
import type { Ref } from '../client/answers.js';
import type { Client } from '../client/client.js';
import { NotFound, Purged } from '../client/errors.js';

/**
 * Does something with the record that a caller named: `<registry>/<uid>`, or a bare uid, which is looked for among the files first, then
 * the datasets, then everywhere else.
 * @throws NotFound where it is nowhere
 */
export const onRecord = async <T>(
  client: Client,
  name: string,
  signal: AbortSignal,
  act: (ref: Ref) => Promise<T>,
): Promise<T> => {
  let nowhere: unknown = null;
  for await (const ref of candidates(client, name, signal)) {
    try {
      return await act(ref);
    } catch (error) {
      if (!(error instanceof NotFound)) throw error;
      nowhere ??= error;
    }
  }
  throw nowhere;
};

/** Where the record that a caller named is, purged or not. @throws NotFound where it is nowhere */
export const locate = (client: Client, name: string, signal: AbortSignal): Promise<Ref> =>
  onRecord(client, name, signal, async (ref) => {
    try {
      await client.get(ref, { signal });
    } catch (error) {
      if (!(error instanceof Purged)) throw error;
    }
    return ref;
  });

async function* candidates(client: Client, name: string, signal: AbortSignal): AsyncGenerator<Ref> {
  const slash = name.indexOf('/');
  if (slash >= 0) {
    yield { registry: name.slice(0, slash), uid: name.slice(slash + 1) };
    return;
  }
  const first = ['files', 'datasets'];
  for (const registry of first) yield { registry, uid: name };
  for await (const { items } of client.registries({ signal })) {
    for (const { name: registry } of items) if (!first.includes(registry)) yield { registry, uid: name };
  }
}

/** Paths of the API that are no registry, though they stand where one would: what is sent there would be carried out. */
const NO_REGISTRIES: readonly string[] = ['audit', 'bulk', 'events', 'operations', 'purges', 'stats', 'trash'];

/** @throws InvalidArgumentError for a word that names another part of the API */
export const registryName = (name: string): string => {
  if (NO_REGISTRIES.includes(name)) throw new InvalidArgumentError('No registry has this name.');
  return name;
};

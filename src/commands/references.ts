import type { Fields } from '../events/events.js';
import { isPurging } from '../events/record.js';
import type { Ref } from '../events/vocabulary.js';
import { readRecord, type Journal } from './execute.js';
import { Conflict, Invalid, type Fault } from './refusals.js';

interface Pointer {
  readonly path: string;
  readonly target: Ref;
  readonly what: string;
}

/**
 * Looks up every record that these fields point to, each in its stream.
 * @throws Invalid naming each that does not exist; Conflict naming one whose purge was requested
 */
export const checkReferences = async (journal: Journal, registry: string, fields: Partial<Fields>): Promise<void> => {
  const faults: Fault[] = [];
  const going: Ref[] = [];
  for (const { path, target, what } of pointers(registry, fields)) {
    const { record } = await readRecord(journal, target);
    if (record === null) {
      faults.push({ path, message: `no ${what} has the uid '${target.uid}'` });
    } else if (isPurging(record)) {
      going.push(target);
    } else if (path === '/initialVersion' && record.fields.kind !== 'plain' && record.fields.initialVersion !== null) {
      faults.push({
        path,
        message: `'${target.uid}' is not the first of its line; that one is '${record.fields.initialVersion}'`,
      });
    }
  }
  // What is wrong whatever the others do comes first, as everywhere.
  if (faults.length > 0) throw new Invalid(faults);
  const [first] = going;
  if (first !== undefined)
    throw new Conflict(`${first.registry}/${first.uid} was purged, or is about to be: nothing can point to it.`);
};

const pointers = (registry: string, fields: Partial<Fields>): Pointer[] => {
  const found: Pointer[] = [];
  const add = (path: string, to: string, uid: string | null | undefined, what: string): void => {
    if (uid != null) found.push({ path, target: { registry: to, uid }, what });
  };
  if ('labels' in fields) fields.labels?.forEach((uid, index) => add(`/labels/${index}`, 'labels', uid, 'label'));
  if ('files' in fields) fields.files?.forEach((uid, index) => add(`/files/${index}`, 'files', uid, 'file'));
  if ('run' in fields) add('/run', 'runs', fields.run, 'run');
  if ('transform' in fields) add('/transform', 'transforms', fields.transform, 'transform');
  if ('initialVersion' in fields)
    add('/initialVersion', registry, fields.initialVersion, registry === 'files' ? 'file' : 'dataset');
  return found;
};

import type { Recorded } from '../../src/events/events.js';
import { project } from '../../src/projections/project.js';
import { COLLECTIONS, type ReadModel } from '../../src/storage/read-model/port.js';
import { inMemoryReadModel } from '../../src/testing/in-memory-read-model.js';

/** Projects a log, or what of it a model does not hold yet, in batches of this size. */
export const projected = async (
  log: readonly Recorded[],
  batchSize = 1_000,
  model: ReadModel = inMemoryReadModel(),
): Promise<ReadModel> => {
  let checkpoint = await model.checkpoint();
  const rest = log.filter(({ position }) => position > Number(checkpoint));
  for (let start = 0; start < rest.length; start += batchSize) {
    const batch = rest.slice(start, start + batchSize);
    const to = BigInt(batch.at(-1)?.position ?? 0);
    await model.apply(await project(model, batch), checkpoint, to);
    checkpoint = to;
  }
  return model;
};

/** Everything that a model holds, as text: two that hold the same are equal byte for byte. One line a row. */
export const dumpOf = async (model: ReadModel): Promise<string> => {
  const lines: string[] = [];
  for (const collection of COLLECTIONS) {
    for await (const { key, row } of model.dump(collection)) lines.push(`${collection} ${key} ${JSON.stringify(row)}`);
  }
  return lines.join('\n');
};

import { describe, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type {
  ConfirmationRequired,
  CountedRows,
  DatasetRecord,
  FileRecord,
  HistoryAnswer,
  Lethe,
  PreviewAnswer,
  ReceiptAnswer,
} from '../../src/client/connect.js';
import type { Filter } from '../../src/client/filters.js';
import type { FileAnswer } from '../../src/client/answers.js';

/*
 * What the compiler says of the SDK's types: nothing here runs, and `npm run types` fails where a line is wrong.
 */

interface Model {
  readonly framework: string;
  readonly layers: number;
}
const modelSchema = z.object({ framework: z.string(), trainedAt: z.string().transform((text) => new Date(text)) });

describe('the types', () => {
  const uses = async (lethe: Lethe): Promise<void> => {
    const file = await lethe.files.add('./mydf.parquet', { description: 'mydf', visibility: 0 });
    expectTypeOf(file).toEqualTypeOf<FileRecord>();
    expectTypeOf(file.key).toEqualTypeOf<string | null>();
    expectTypeOf(file.hold).toEqualTypeOf<{ reason: string | null; by: string; at: string } | null>();
    expectTypeOf(await file.restore()).toEqualTypeOf<FileRecord>();
    expectTypeOf((await file.delete({ permanent: true })).receipt).toEqualTypeOf<ReceiptAnswer | null>();
    expectTypeOf(await file.at({ revision: 0 })).toEqualTypeOf<Readonly<FileAnswer>>();
    expectTypeOf(await file.content()).toEqualTypeOf<Response>();
    // @ts-expect-error: fields are the service's
    file.description = 'x';
    // @ts-expect-error: a label has a name, and a file has not
    await file.update({ name: 'x' });
    // @ts-expect-error: visibility is 1 or 0 when one registers
    await lethe.files.add('./x', { visibility: -1 });
    // @ts-expect-error: one of them
    await file.at({ revision: 0, at: 3 });

    expectTypeOf(lethe.files.filter()).toEqualTypeOf<CountedRows<FileRecord>>();
    expectTypeOf(await lethe.files.filter().first()).toEqualTypeOf<FileRecord | null>();
    expectTypeOf(await lethe.datasets.filter().all()).toEqualTypeOf<DatasetRecord[]>();
    for await (const row of lethe.audit({ uid: file.uid })) expectTypeOf(row).toEqualTypeOf<HistoryAnswer>();
    for await (const row of lethe.trash) expectTypeOf(row).toEqualTypeOf<FileRecord | DatasetRecord>();

    const models = lethe.registry<Model>('models');
    expectTypeOf((await models.get('x')).data).toEqualTypeOf<Model>();
    // @ts-expect-error: layers is missing
    await models.add({ name: 'm', data: { framework: 'torch' } });

    const checked = lethe.registry('models', modelSchema);
    expectTypeOf((await checked.get('x')).data).toEqualTypeOf<{ framework: string; trainedAt: Date }>();
    await checked.add({ data: { framework: 'torch', trainedAt: '2026-01-01' } });
    // @ts-expect-error: a date is what comes out, not what goes in
    await checked.add({ data: { framework: 'torch', trainedAt: new Date(0) } });
  };

  it('of records, lists and registries are those of the API', () => {
    expectTypeOf(uses).returns.resolves.toBeVoid();
  });

  it('of filters know the fields and their operators', () => {
    expectTypeOf<{ size: { gte: number }; suffix: '.csv'; run: null; visibility: null }>().toExtend<
      Filter<FileAnswer>
    >();
    expectTypeOf<{ createdAt: { lt: Date }; key: { startsWith: string }; uid: string[] }>().toExtend<
      Filter<FileAnswer>
    >();
    expectTypeOf<{ size: { startsWith: string } }>().not.toExtend<Filter<FileAnswer>>();
    expectTypeOf<{ size: string }>().not.toExtend<Filter<FileAnswer>>();
    expectTypeOf<{ uid: null }>().not.toExtend<Filter<FileAnswer>>();
    expectTypeOf<{ visibility: 2 }>().not.toExtend<Filter<FileAnswer>>();
  });

  it('of errors have their data', () => {
    expectTypeOf<ConfirmationRequired['preview']>().toEqualTypeOf<PreviewAnswer | null>();
  });
});

import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import type { Held } from '../doubles/eventstoredb.holds.js';
import { Asking, type Ref, type Row } from './asking.js';
import { discard, startService, temporaryFolder, type Answer } from './service.js';

/**
 * A real service whose log is the double of EventStoreDB in the test's process. The double holds one call's append back, after that call has
 * looked and decided, until another is through: so a race through HTTP goes one way, and always the same.
 */
export class HeldLog {
  private serial = 0;

  private constructor(
    readonly double: EventStoreDouble,
    readonly lethe: Asking,
    private readonly disk: string,
  ) {}

  /** With a storage `lab` beside the default one. */
  static async start(): Promise<HeldLog> {
    const [double, disk] = await Promise.all([startEventStoreDouble(), temporaryFolder()]);
    await mkdir(join(disk, 'lab'));
    const config = { storages: [{ name: 'lab', root: `file:${join(disk, 'lab')}` }] };
    const service = await startService({ env: { LETHE_EVENT_STORE: double.url }, config });
    return new HeldLog(double, new Asking(service), disk);
  }

  async stop(): Promise<void> {
    await discard(this.lethe.service);
    await this.double.stop();
    await rm(this.disk, { recursive: true, force: true });
  }

  /** Lets through whatever a test that failed has left waiting. */
  releaseAll(): void {
    this.double.holds.releaseAll();
  }

  /** Begins `call`, and goes on once its append waits to be written. */
  async heldBack(
    stream: string,
    type: string,
    call: () => Promise<Answer>,
  ): Promise<{ answer: Promise<Answer>; held: Held }> {
    const held = this.double.holds.hold(stream, type);
    const answer = call();
    const early = answer.then(({ body }) => Promise.reject(new Error(`nothing was appended: ${JSON.stringify(body)}`)));
    await Promise.race([held.arrived, early]);
    return { answer, held };
  }

  /** `first` has looked and decided before `second` begins, and is written after it. @returns both answers */
  async overtaken(
    stream: string,
    type: string,
    first: () => Promise<Answer>,
    second: () => Promise<Answer>,
  ): Promise<[Answer, Answer]> {
    const { answer, held } = await this.heldBack(stream, type, first);
    const other = await second();
    held.release();
    return [await answer, other];
  }

  /** A purge that has found nothing in its way, and is written after `second`. */
  purgeOvertaken(
    record: Ref,
    second: () => Promise<Answer>,
    { query, headers }: { query?: string; headers?: Record<string, string> } = {},
  ): Promise<[Answer, Answer]> {
    return this.overtaken(
      streamOf(record),
      'RecordPurgeRequested',
      () => this.lethe.remove(record, query, headers),
      second,
    );
  }

  /** Whose registration is the newest of this registry in the log: a record that no answer named. */
  newest(registry: string): Ref {
    const prefix = `lethe.${registry}-`;
    const found = this.double.log.events.findLast(
      ({ stream, type }) => type === 'RecordRegistered' && stream.startsWith(prefix),
    );
    if (found === undefined) throw new Error(`nothing was registered in ${registry}`);
    return { registry, uid: found.stream.slice(prefix.length) };
  }

  /** Where a path of the lab lies. */
  lab(path: string): string {
    return join(this.disk, 'lab', path);
  }

  /** A new file that lies in the lab, registered. */
  async lying(): Promise<Row> {
    const path = `file-${(this.serial += 1)}.txt`;
    await writeFile(this.lab(path), `content of ${path}`);
    return this.lethe.register('files', { path, storage: 'lab' });
  }

  /** Registers once more what lies at a path of the lab. */
  again(path: string): Promise<Answer> {
    const json = { path, storage: 'lab', onDuplicate: 'create' };
    return this.lethe.call('POST', '/v1/files', { json });
  }
}

export const streamOf = ({ registry, uid }: Ref): string => `${registry}-${uid}`;

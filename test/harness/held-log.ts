import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { startEventStoreDouble, type EventStoreDouble } from '../doubles/eventstoredb.js';
import type { Held } from '../doubles/eventstoredb.holds.js';
import { Asking, type Ref, type Row } from './asking.js';
import { filesBelow } from './refusing.js';
import { discard, startService, temporaryFolder, type Answer } from './service.js';

/**
 * A real service whose log is the double of EventStoreDB in the test's process. The double holds one call's append back, after that call has
 * looked and decided, until another is through: so a race through HTTP goes one way, and always the same.
 */
export class HeldLog {
  private serial = 0;

  private constructor(
    readonly double: EventStoreDouble,
    private readonly disk: string,
    private asking: Asking,
  ) {}

  /** The service as it runs now. */
  get lethe(): Asking {
    return this.asking;
  }

  /** With a storage `lab` beside the default one. */
  static async start(): Promise<HeldLog> {
    const [double, disk] = await Promise.all([startEventStoreDouble(), temporaryFolder()]);
    await mkdir(join(disk, 'lab'));
    const config = { storages: [{ name: 'lab', root: `file:${join(disk, 'lab')}` }] };
    const service = await startService({ env: { LETHE_EVENT_STORE: double.url }, config });
    return new HeldLog(double, disk, new Asking(service));
  }

  /** Ends the process as kill -9 does, and starts another one on its folder, after `meanwhile`. */
  async restart(meanwhile: (data: string) => unknown = () => undefined): Promise<void> {
    const { service } = this.asking;
    await service.kill();
    await meanwhile(service.data);
    this.asking = new Asking(await startService({ data: service.data, env: { LETHE_EVENT_STORE: this.double.url } }));
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

  /** Lays a file down in the lab. */
  async put(path: string, content = `content of ${path}`): Promise<void> {
    await mkdir(dirname(this.lab(path)), { recursive: true });
    await writeFile(this.lab(path), content);
  }

  /** All that lies in the lab, by its place on the disk; not what the storage says of itself. */
  async everything(): Promise<Record<string, string>> {
    const paths = (await filesBelow(this.lab(''))).filter((path) => !path.startsWith(this.lab('.lethe')));
    return Object.fromEntries(
      await Promise.all(paths.map(async (path): Promise<[string, string]> => [path, await readFile(path, 'utf8')])),
    );
  }

  /** A new file that lies in the lab, registered. */
  async lying(): Promise<Row> {
    const path = `file-${(this.serial += 1)}.txt`;
    await this.put(path);
    return this.lethe.register('files', { path, storage: 'lab' });
  }

  /** A new folder that lies in the lab, registered. */
  async folder(names: readonly string[]): Promise<Row> {
    const path = `folder-${(this.serial += 1)}/`;
    for (const name of names) await this.put(path + name);
    return this.lethe.register('files', { path, storage: 'lab' });
  }

  /** Registers once more what lies at a path of the lab. */
  again(path: string): Promise<Answer> {
    const json = { path, storage: 'lab', onDuplicate: 'create' };
    return this.lethe.call('POST', '/v1/files', { json });
  }
}

export const streamOf = ({ registry, uid }: Ref): string => `${registry}-${uid}`;

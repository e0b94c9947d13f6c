import type { Journal } from '../../src/commands/execute.js';
import { Ownership } from '../../src/commands/ownership.js';
import type { Clock } from '../../src/ports.js';
import type { ObjectStores } from '../../src/storage/object-store/port.js';
import type { ReadModel } from '../../src/storage/read-model/port.js';
import { systemIds } from '../../src/system.js';
import { STORAGE } from '../../src/testing/events.js';
import { InMemoryLog } from '../../src/testing/in-memory-event-store.js';
import { InMemoryObjects } from '../../src/testing/in-memory-object-store.js';
import type { Finding } from '../../src/upkeep/findings.js';
import { ManualClock } from '../harness/manual-clock.js';
import { projected } from '../harness/projecting.js';
import { Story } from '../harness/story.js';

const PLACE = 'file:/data/';

/** A log, its objects and its read model in memory, with a storage that belongs to it; what is told of the story is in all of them. */
export class Stage {
  readonly time = new ManualClock();
  readonly objects = new InMemoryObjects(this.time);
  readonly log = new InMemoryLog();
  readonly story = new Story();
  readonly found: Finding[] = [];
  /** How often it was waited for, and what happens then. */
  waits = 0;
  meanwhile: () => void | Promise<void> = () => undefined;
  private written = 0;

  /** Time passes only where somebody waits. */
  readonly clock: Clock = {
    now: () => this.time.now(),
    monotonic: () => this.time.monotonic(),
    sleep: async (ms) => {
      this.waits += 1;
      this.time.pass(ms);
      await this.meanwhile();
    },
  };
  readonly journal: Journal = {
    store: this.log.open('lethe.'),
    prefix: 'lethe.',
    clock: this.clock,
    appended: () => undefined,
  };
  readonly stores: ObjectStores = {
    at: async () => this.objects.open(PLACE),
    placeOf: async () => PLACE,
    grant: async () => ({ managed: true }),
    isConfigured: () => true,
    close: async () => undefined,
  };

  /** As of a process that has just begun. */
  get ownership(): Ownership {
    return new Ownership(this.journal, this.stores, systemIds);
  }

  static async open(): Promise<Stage> {
    const stage = new Stage();
    stage.write();
    await stage.ownership.assertOwned(STORAGE_THERE);
    return stage;
  }

  /** What was told since goes into the log. */
  write(): void {
    for (const event of this.story.log.stored.slice(this.written)) {
      this.log.append(event.stream, event.revision - 1, [event]);
    }
    this.written = this.story.log.stored.length;
  }

  put(path: string, content = 'a,b'): void {
    this.objects.write(PLACE + path, Buffer.from(content));
  }

  take(path: string): void {
    this.objects.remove(PLACE + path);
  }

  /** The read model of all that was told until now. */
  async model(): Promise<ReadModel> {
    return projected(this.story.log.recorded);
  }

  /** What was found, as `kind: sentence`. */
  get whats(): string[] {
    return this.found.map(({ kind, what }) => `${kind}: ${what}`);
  }
}

const STORAGE_THERE = {
  uid: STORAGE.uid,
  facts: { name: 'default', root: PLACE, managed: true, place: PLACE },
};

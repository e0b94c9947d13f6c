import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { openSqliteEventStore, type SqliteEventStore } from '../src/storage/event-store/sqlite.js';
import { startLethe, using } from './processes.js';
import { whenBuilt } from './read-model.js';
import { PastClock, PREFIX, pointedAt, Story } from './stories.js';

/** A data folder of a service that is stopped. */
export interface DataFolder {
  readonly path: string;
  /** File records that were ever registered. */
  readonly records: number;
  readonly events: number;
  /** The log's last position as it was written. */
  readonly head: number;
  /** Visible file records to which nothing has happened since their registration: at most 100,000 uids, in the order of a shuffled deck. */
  readonly untouched: readonly string[];
}

/** The data folders of one run, each written when it is first asked for. */
export class DataFolders {
  private readonly written = new Map<string, Promise<DataFolder>>();
  private readonly built = new Map<string, Promise<DataFolder>>();

  constructor(
    private readonly scratch: string,
    private readonly say: (line: string) => void,
  ) {}

  /** A folder that nobody has used yet. */
  empty(name: string): string {
    const path = join(this.scratch, name);
    mkdirSync(path);
    return path;
  }

  /** @param name two callers that give the same name share the folder, with what the other did to it */
  async withLog(name: string, records: number): Promise<DataFolder> {
    return known(this.written, name, async () => {
      this.say(`writing a log of ${records} records`);
      const began = performance.now();
      const folder = await write(this.empty(name), records);
      this.say(`${folder.events} events in ${((performance.now() - began) / 1_000).toFixed(1)} s`);
      return folder;
    });
  }

  /** As `withLog`, with its read model built. */
  async ready(name: string, records: number): Promise<DataFolder> {
    return known(this.built, name, async () => {
      const folder = await this.withLog(name, records);
      this.say(`building the read model of ${records} records`);
      await using(await startLethe(folder.path), () => whenBuilt(folder.path, folder.head));
      return folder;
    });
  }
}

const known = <T>(all: Map<string, Promise<T>>, name: string, make: () => Promise<T>): Promise<T> => {
  const made = all.get(name) ?? make();
  all.set(name, made);
  return made;
};

/** How many records are registered between two rounds of what happens to earlier ones. */
const CHUNK = 1_000;
/** The share of the stories under way that go on in each round: most steps come long after the one before. */
const GO_ON = 0.05;
/** As many as any benchmark uses. */
const UNTOUCHED = 100_000;
/** Chunks that wait for the disk at once: far below what the store takes. */
const AHEAD = 3;

const write = async (path: string, records: number): Promise<DataFolder> => {
  // The service itself makes the log, its instance id and the storage `default`.
  await using(await startLethe(path), () => Promise.resolve());
  const store = await openSqliteEventStore({ file: join(path, 'events.sqlite'), prefix: PREFIX, mode: 'read-write' });
  try {
    const clock = new PastClock(Date.now() - records * 200);
    const chance = chanceFrom(1);
    const batches = new Batches(store);
    const untouched: string[] = [];
    const underWay: Story[] = [];
    const first = Number(await store.head());

    await batches.add([...pointedAt()].map((story) => story.next(clock)));
    for (let number = 0; number < records;) {
      const appends = [];
      // Each upload began a moment ago, as it would have.
      const seenAt = first + batches.events;
      for (const end = Math.min(number + CHUNK, records); number < end; number += 1) {
        const story = Story.ofFile(number, seenAt);
        appends.push(story.next(clock));
        if (story.isOver) untouched.push(story.uid);
        else underWay.push(story);
      }
      for (let more = Math.ceil(underWay.length * GO_ON); more > 0; more -= 1) goOn(underWay, chance, clock, appends);
      await batches.add(appends);
    }
    while (underWay.length > 0) {
      const appends: ReturnType<Story['next']>[] = [];
      while (underWay.length > 0 && appends.length < CHUNK) goOn(underWay, chance, clock, appends);
      await batches.add(appends);
    }
    await batches.end();
    const head = Number(await store.head());
    shuffle(untouched, chance);
    return { path, records, events: batches.events + first, head, untouched: untouched.slice(0, UNTOUCHED) };
  } finally {
    await store.close();
  }
};

/** The next step of a story that chance picks. */
const goOn = (
  underWay: Story[],
  chance: () => number,
  clock: PastClock,
  appends: ReturnType<Story['next']>[],
): void => {
  const at = Math.floor(chance() * underWay.length);
  const last = underWay.pop();
  const story = underWay[at] ?? last;
  if (story === undefined || last === undefined) return;
  appends.push(story.next(clock));
  if (story !== last) underWay[at] = last;
  if (!story.isOver) underWay.push(story);
};

/** Sends chunks of appends, and waits where too many are under way. Appends to one stream are answered in the order of their sending. */
class Batches {
  events = 0;
  private readonly sent: Promise<unknown>[] = [];

  constructor(private readonly store: SqliteEventStore) {}

  async add(appends: readonly ReturnType<Story['next']>[]): Promise<void> {
    const answers = appends.map(({ stream, expected, events }) => {
      this.events += events.length;
      return this.store.append(stream, expected, events);
    });
    this.sent.push(Promise.all(answers));
    if (this.sent.length >= AHEAD) await this.sent.shift();
  }

  async end(): Promise<void> {
    await Promise.all(this.sent);
  }
}

/** The same chance in every run (mulberry32). @returns from 0 (inclusive) to 1 (exclusive) */
const chanceFrom = (seed: number): (() => number) => {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

const shuffle = (values: string[], chance: () => number): void => {
  for (let last = values.length - 1; last > 0; last -= 1) {
    const other = Math.floor(chance() * (last + 1));
    const [a = '', b = ''] = [values[last], values[other]];
    values[last] = b;
    values[other] = a;
  }
};

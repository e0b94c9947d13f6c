import type { SimulatedRandom } from '../../src/testing/simulated.js';
import type { Operation } from './operations.js';

/** Where files are registered: few places, so that they meet. */
const PLACES: readonly (readonly [storage: string, path: string])[] = [
  ['default', 'o'],
  ['default', 'o'],
  ['default', 'a/b'],
  ['default', 'a/c'],
  ['default', 'a/'],
  ['default', 'a/'],
  ['default', 'in/x'],
  ['default', 'in/'],
  ['inner', 'x'],
  ['public', 'q'],
  ['default', 'shut/z'],
];
const LOCATIONS = ['memory:/s/o', 'memory:/s/a/b', 'memory:/s/a/c', 'memory:/s/a/d', 'memory:/s/in/x', 'memory:/p/q'];
const CONTENTS = ['c1', 'c2'];

/** How often a kind of call comes, of all of them. */
const KINDS = {
  file: 18,
  dataset: 9,
  patch: 14,
  trash: 9,
  restore: 5,
  hold: 4,
  purge: 34,
  retry: 4,
  empty: 4,
  outsider: 3,
  repeat: 4,
  pause: 2,
};
type Kind = keyof typeof KINDS;
const KIND_NAMES: readonly Kind[] = [
  'file',
  'dataset',
  'patch',
  'trash',
  'restore',
  'hold',
  'purge',
  'retry',
  'empty',
  'outsider',
  'repeat',
  'pause',
];

/** Makes up the calls of a schedule, one after the other. */
export class Maker {
  private readonly made: { name: string; registry: string }[] = [];
  private readonly sent: string[] = [];
  /** What everybody is after: races need two on one record. */
  private hot: readonly string[] = [];
  /** Where the first files lie. */
  private readonly places = new Map<string, readonly [storage: string, path: string]>();
  private count = 0;

  /** Each schedule leaves some kinds out and is fond of others: they meet more often than where all come alike. */
  private readonly kinds: readonly { name: Kind; weight: number }[];

  constructor(private readonly random: SimulatedRandom) {
    this.kinds = KIND_NAMES.map((name) => ({ name, weight: KINDS[name] * random.pick([0, 1, 1, 3]) }));
  }

  setup(): Operation[] {
    const { random } = this;
    const operations: Operation[] = [
      { do: 'create', id: this.id(), name: this.name('L', 'labels'), registry: 'labels' },
      { do: 'create', id: this.id(), name: this.name('R', 'runs'), registry: 'runs' },
    ];
    const files = 1 + random.below(4);
    for (let index = 0; index < files; index += 1) operations.push(this.file());
    if (random.happens(0.4)) operations.push(this.dataset());
    for (const { name, registry } of [...this.made]) {
      if (['files', 'datasets'].includes(registry) && random.happens(0.4)) operations.push(this.trash(name));
    }
    return operations;
  }

  /** What is there by now is what the rest is about, some of it most of all. */
  heat(): void {
    const names = this.made.map(({ name }) => name);
    this.hot = [this.random.pick(names), this.random.pick(names), ...this.of('files').slice(0, 1)];
  }

  call(): Operation {
    const { random } = this;
    let operation = random.happens(0.4) ? this.duel() : this.next();
    if (random.happens(0.08)) {
      const event = random.pick(['RecordRegistered', 'RecordPurgeRequested', 'RecordUpdated'] as const);
      operation = { ...operation, appendAfter: { target: random.pick(this.made).name, event } };
    }
    return random.happens(0.25) ? { ...operation, keyless: true } : operation;
  }

  /**
   * Calls of two clients on storages that come and go at one place: one that is purged protects nothing any more, and what is being deleted
   * in it goes on beneath the next.
   */
  movers(root: string): Operation[][] {
    const { random } = this;
    const [first, second] = [this.name('S', 'storages'), this.name('S', 'storages')];
    const found: string[] = [];
    const storage = (name: string): Operation => ({ do: 'create', id: this.id(), name, registry: 'storages', root });
    const file = (storage: string, path: string): Operation => {
      const name = this.name('F', 'files');
      found.push(name);
      const shared = { id: this.id(), name, storage, path };
      return random.happens(0.9)
        ? { do: 'register', ...shared }
        : { do: 'upload', ...shared, content: random.pick(CONTENTS) };
    };
    const purge = (target: string, storage: 'delete' | null = 'delete'): Operation => {
      return { do: 'purge', id: this.id(), target, storage, dryRun: false, waitMs: 0 };
    };
    const pause = (): Operation => ({ do: 'pause', id: this.id(), ms: random.pick([10, 100, 300, 1_000]) });
    // A deletion that fails stands until it is tried again, and the store is there again before that.
    const slow = (): Operation => {
      return { do: random.pick(['down', 'deaf']), id: this.id(), store: 'objects', ms: random.pick([30, 100, 300]) };
    };
    const life = [storage(first), file(first, 'w'), purge(found[0] ?? first), slow(), purge(first), storage(second)];
    const others = [
      () => file(second, random.pick(['w', 'w', 'v'])),
      () => file('default', 'sp/w'),
      () => purge(random.pick([first, second, ...found]), random.pick(['delete', null])),
      pause,
      pause,
    ];
    return [
      [...life.filter(() => random.happens(0.95)), pause(), file(second, 'w')],
      Array.from({ length: 1 + random.below(4) }, () => random.pick(others)()),
    ];
  }

  /** Any call, the kinds that this schedule is fond of rather than others. */
  private next(): Operation {
    const { random } = this;
    let at = random.next() * this.kinds.reduce((sum, { weight }) => sum + weight, 0);
    const kind = this.kinds.find(({ weight }) => (at -= weight) < 0) ?? random.pick(this.kinds);
    return this.callOf(kind.name);
  }

  /** One of two calls that must not both get their way: the purge of a record, and what comes to point at it or at its object. */
  private duel(): Operation {
    const { random } = this;
    const target = random.pick(this.hot);
    const purge = {
      do: 'purge',
      id: this.id(),
      target,
      storage: random.pick(['delete', 'delete', null] as const),
    } as const;
    if (random.happens(0.45)) return { ...purge, dryRun: false, waitMs: 0 };
    const forced = {
      ...(random.happens(0.2) && { appendAfter: { target, event: 'RecordPurgeRequested' } as const }),
      ...(random.happens(0.1) && { dies: true }),
    };
    const place = this.places.get(target);
    if (place !== undefined && random.happens(0.4)) {
      const [storage, path] = place;
      const shared = { id: this.id(), ...forced, name: this.name('F', 'files'), storage, ...this.pointers('files') };
      if (random.happens(0.5) || path.endsWith('/')) return { do: 'register', ...shared, path };
      return { do: 'upload', ...shared, path, content: random.pick(CONTENTS) };
    }
    const pointing = target.startsWith('L')
      ? { labels: [target] }
      : target.startsWith('R')
        ? { run: target }
        : target.startsWith('F')
          ? { files: [target] }
          : { initial: target };
    const dataset = this.of('datasets').find((name) => name !== target);
    if (dataset !== undefined && !('initial' in pointing) && random.happens(0.5))
      return { do: 'patch', id: this.id(), ...forced, target: dataset, ...pointing };
    return {
      do: 'create',
      id: this.id(),
      ...forced,
      name: this.name('D', 'datasets'),
      registry: 'datasets',
      ...pointing,
    };
  }

  private callOf(kind: Kind): Operation {
    const { random } = this;
    switch (kind) {
      case 'file':
        return this.file();
      case 'dataset':
        return this.dataset();
      case 'patch':
        return this.patch();
      case 'trash':
        return this.trash(this.any('files', 'datasets'));
      case 'restore':
        return { do: 'restore', id: this.id(), ...this.match(), target: this.any('files', 'datasets') };
      case 'hold':
        return { do: random.pick(['hold', 'hold', 'release']), id: this.id(), target: this.any() };
      case 'purge':
        return this.purge();
      case 'retry':
        return { do: 'retry', id: this.id(), target: this.any(), storage: random.pick(['keep', null]) };
      case 'empty':
        return { do: 'empty', id: this.id(), registry: random.pick([null, null, 'files', 'datasets']) };
      case 'outsider': {
        const [id, location] = [this.id(), random.pick(LOCATIONS)];
        if (random.happens(0.5)) return { do: 'remove', id, location };
        return { do: 'write', id, location, content: random.pick(['c1', 'c8', 'c9']) };
      }
      case 'repeat':
        return { do: 'repeat', id: this.id(), of: random.pick(this.sent) };
      case 'pause':
        return { do: 'pause', id: this.id(), ms: random.pick([10, 300, 3_000, 20_000]) };
    }
  }

  private file(): Operation {
    const { random } = this;
    const [storage, path] = random.pick(PLACES);
    const shared = {
      id: this.id(),
      ...this.pointers('files'),
      visibility: random.pick([1, 1, 1, 0] as const),
      onDuplicate: random.pick(['create', 'create', 'return', 'fail'] as const),
    };
    const name = this.name('F', 'files');
    this.places.set(name, [storage, path]);
    if (random.happens(0.5)) return { do: 'register', ...shared, name, storage, path };
    const virtual = random.happens(0.5);
    const content = random.pick(CONTENTS);
    const cut = random.pick([{}, {}, {}, {}, {}, {}, {}, {}, { cut: true }, { unanswered: true }]);
    if (virtual)
      return {
        do: 'upload',
        ...shared,
        ...cut,
        name,
        storage: random.pick(['default', 'default', 'inner']),
        path: null,
        content,
      };
    return { do: 'upload', ...shared, ...cut, name, storage, path: path.endsWith('/') ? `${path}d` : path, content };
  }

  private dataset(): Operation {
    const files = this.some('files');
    const pointers = this.pointers('datasets');
    return { do: 'create', id: this.id(), name: this.name('D', 'datasets'), registry: 'datasets', files, ...pointers };
  }

  private patch(): Operation {
    const { random } = this;
    const target = this.any('files', 'datasets', 'datasets');
    const shared = { do: 'patch', id: this.id(), ...this.match(), target } as const;
    if (random.happens(0.15)) return { ...shared, visibility: random.pick([0, 1] as const) };
    if (random.happens(0.15)) return { ...shared, description: random.pick(['one', 'two']) };
    if (target.startsWith('D') && random.happens(0.75)) return { ...shared, files: this.some('files') };
    if (random.happens(0.3)) return { ...shared, run: random.pick([null, ...this.of('runs')]) };
    return { ...shared, labels: this.some('labels') };
  }

  private trash(target: string): Operation {
    const { random } = this;
    return {
      do: 'trash',
      id: this.id(),
      ...this.match(),
      target,
      permanent: random.pick([null, null, false]),
      storage: random.pick([null, null, 'delete']),
      dryRun: random.happens(0.1),
    };
  }

  private purge(): Operation {
    const { random } = this;
    return {
      do: 'purge',
      id: this.id(),
      ...this.match(),
      target: this.any(),
      storage: random.pick([null, 'delete', 'delete', 'keep']),
      dryRun: random.happens(0.08),
      waitMs: random.pick([0, 0, 2_000]),
    };
  }

  private pointers(registry: string): { labels?: string[]; run?: string; initial?: string } {
    const { random } = this;
    const [labels, runs, line] = [this.of('labels'), this.of('runs'), this.of(registry)];
    return {
      ...(random.happens(0.18) && labels.length > 0 && { labels: [this.one(labels)] }),
      ...(random.happens(0.12) && runs.length > 0 && { run: this.one(runs) }),
      ...(random.happens(0.12) && line.length > 0 && { initial: this.one(line) }),
    };
  }

  private match(): { ifMatch?: number } {
    return this.random.happens(0.06) ? { ifMatch: this.random.below(4) } : {};
  }

  private of(...registries: string[]): string[] {
    return this.made.filter(({ registry }) => registries.includes(registry)).map(({ name }) => name);
  }

  private any(...registries: string[]): string {
    const names = registries.length === 0 ? this.made.map(({ name }) => name) : this.of(...registries);
    return names.length === 0 ? 'F0' : this.one(names);
  }

  /** A hot one, or one of the first, rather than any. */
  private one(names: readonly string[]): string {
    const { random } = this;
    const hot = names.filter((name) => this.hot.includes(name));
    if (hot.length > 0 && random.happens(0.6)) return random.pick(hot);
    return random.pick(random.happens(0.8) ? names.slice(0, 3) : names);
  }

  /** Some of a registry's records; the hot ones among them, rather than others. */
  private some(registry: string): string[] {
    return this.of(registry).filter((name) => this.random.happens(this.hot.includes(name) ? 0.6 : 0.2));
  }

  private name(letter: string, registry: string): string {
    const name = `${letter}${this.made.filter((other) => other.registry === registry).length + 1}`;
    this.made.push({ name, registry });
    return name;
  }

  private id(): string {
    this.count += 1;
    const id = `c${this.count}`;
    this.sent.push(id);
    return id;
  }
}

import { appendFileSync, existsSync, readFileSync } from 'node:fs';

/** An event as the server holds it. `data` and `metadata` are bytes, whatever they mean to its clients. */
export interface LogEvent extends Proposed {
  readonly position: bigint;
  readonly stream: string;
  readonly revision: bigint;
}

export interface Proposed {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

export type Expected = 'any' | 'no_stream' | 'stream_exists' | bigint;

export type AppendOutcome =
  /** `position` is null where the server answers none: a repeat of what is no longer readable. */
  | { readonly kind: 'appended'; readonly revision: bigint; readonly position: bigint | null; readonly fresh: boolean }
  | { readonly kind: 'conflict'; readonly actual: bigint }
  | { readonly kind: 'deleted' };

const TOMBSTONE = 2n ** 63n - 1n;
const RECORD_OVERHEAD = 96;

/**
 * What EventStoreDB keeps, and the rules by which it takes an append: those of `IndexWriter.CheckCommit` in its source, which were also seen
 * on a real 23.10.6. Positions are offsets in a file, so they rise with gaps, and each event of one append has its own.
 */
export class EventStoreDbLog {
  readonly events: LogEvent[] = [];
  private readonly streams = new Map<string, LogEvent[]>();
  /** Where a stream begins, by its metadata (`$tb`): what is before is no longer read from it, but stays in `$all` until a scavenge. */
  private readonly truncated = new Map<string, bigint>();
  private readonly scavenged = new Set<bigint>();
  private readonly tombstoned = new Set<string>();
  /** By id, what was written since the start: all that an append with `any` is compared with. */
  private readonly recent = new Map<string, LogEvent>();
  private readonly listeners = new Set<() => void>();
  /** Not 0: a server writes records of its own first, which no reader sees. */
  private end = 512n;

  /** @param file keeps the log, one JSON line an event; null: in memory alone */
  constructor(private readonly file: string | null = null) {
    if (file === null || !existsSync(file)) return;
    for (const line of readFileSync(file, 'utf8').split('\n')) if (line !== '') this.lay(fromLine(line));
  }

  append(stream: string, expected: Expected, proposed: readonly Proposed[]): AppendOutcome {
    if (this.tombstoned.has(stream)) return { kind: 'deleted' };
    const current = this.lastRevision(stream);
    const repeat = this.findRepeat(stream, expected, current, proposed);
    if (repeat !== null) return repeat;
    const wanted = expected === 'no_stream' ? -1n : expected;
    if (wanted === 'stream_exists' ? current < 0n : wanted !== 'any' && wanted !== current) {
      if (!(wanted === -1n && this.isSoftDeleted(stream))) return { kind: 'conflict', actual: current };
    }
    let last = this.events.at(-1);
    proposed.forEach((each, index) => {
      last = this.write({ ...each, stream, revision: current + 1n + BigInt(index) });
    });
    this.ring();
    return { kind: 'appended', revision: last?.revision ?? current, position: last?.position ?? null, fresh: true };
  }

  /** What may be read of a stream, oldest first; null where there is none. */
  stream(name: string): readonly LogEvent[] | null {
    const from = this.truncated.get(name) ?? 0n;
    const events = this.streams.get(name)?.filter(({ revision }) => revision >= from) ?? [];
    return events.length === 0 ? null : events;
  }

  isTombstoned(stream: string): boolean {
    return this.tombstoned.has(stream);
  }

  /** Whether a record begins at a position, or did, or none has come there yet: elsewhere the server cannot read. */
  isReadable(position: bigint): boolean {
    const next = this.events[this.indexOf(position)];
    return next === undefined || next.position === position || this.scavenged.has(position);
  }

  /** The index of the first event at or after a position. */
  indexOf(position: bigint): number {
    let [low, high] = [0, this.events.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.events[middle]?.position ?? 0n) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Other services' events, and the server's own: what a log is shared with. */
  addNoise(count: number, streamOf: (index: number) => string = (index) => `$stats-127.0.0.1:${index % 3}`): void {
    for (let index = 0; index < count; index += 1) {
      const stream = streamOf(index);
      this.write({ ...system('$statsCollected', {}), stream, revision: this.lastRevision(stream) + 1n });
    }
    this.ring();
  }

  /** As an administrator's soft delete, or `$maxCount`: the events before `revision` are gone from the stream. */
  truncate(stream: string, revision: bigint): void {
    const meta = `$$${stream}`;
    const event = system('$metadata', { $tb: Number(revision) });
    this.write({ ...event, stream: meta, revision: this.lastRevision(meta) + 1n });
    this.ring();
  }

  softDelete(stream: string): void {
    this.truncate(stream, this.lastRevision(stream) + 1n);
  }

  tombstone(stream: string): void {
    this.write({ ...system('$streamDeleted', {}), stream, revision: TOMBSTONE });
    this.ring();
  }

  /** Takes events out of the file, as a scavenge does. Where they were, the server can still begin to read. */
  scavenge(isGone: (event: LogEvent) => boolean): void {
    for (const event of this.events) if (isGone(event)) this.scavenged.add(event.position);
    const kept = this.events.filter((event) => !isGone(event));
    this.events.splice(0, this.events.length, ...kept);
  }

  /** As a restart does. What is on disk is known all the same. */
  forgetRecent(): void {
    this.recent.clear();
  }

  /** Calls back after each write. @returns how to stop that */
  onWrite(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private findRepeat(
    stream: string,
    expected: Expected,
    current: bigint,
    proposed: readonly Proposed[],
  ): AppendOutcome | null {
    const wanted = expected === 'no_stream' ? -1n : expected;
    const found: LogEvent[] = [];
    for (const [index, { id }] of proposed.entries()) {
      const before =
        typeof wanted === 'bigint' ? this.streams.get(stream)?.[Number(wanted) + 1 + index] : this.recent.get(id);
      // Where only the first ones were written before, the rest is not written after them.
      if (before?.id !== id || before.stream !== stream)
        return index === 0 ? null : { kind: 'conflict', actual: current };
      found.push(before);
    }
    const last = found.at(-1);
    if (last === undefined) return null;
    const isReadable = last.revision >= (this.truncated.get(stream) ?? 0n);
    return { kind: 'appended', revision: last.revision, position: isReadable ? last.position : null, fresh: false };
  }

  private isSoftDeleted(stream: string): boolean {
    return (this.truncated.get(stream) ?? 0n) > this.lastRevision(stream);
  }

  private lastRevision(stream: string): bigint {
    return this.streams.get(stream)?.at(-1)?.revision ?? -1n;
  }

  private write(event: Omit<LogEvent, 'position'>): LogEvent {
    const written = { ...event, position: this.end };
    this.lay(written);
    this.recent.set(written.id, written);
    if (this.file !== null) appendFileSync(this.file, toLine(written));
    return written;
  }

  private lay(event: LogEvent): void {
    const { stream, position, type, data, metadata } = event;
    this.events.push(event);
    this.end = position + BigInt(RECORD_OVERHEAD + stream.length + type.length + data.length + metadata.length);
    const events = this.streams.get(stream);
    if (type === '$streamDeleted') this.tombstoned.add(stream);
    else if (events === undefined) this.streams.set(stream, [event]);
    else events.push(event);
    if (stream.startsWith('$$')) {
      const { $tb } = JSON.parse(data.toString()) as { $tb?: number };
      if ($tb !== undefined) this.truncated.set(stream.slice(2), BigInt($tb));
    }
  }

  private ring(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

const system = (type: string, data: object): Proposed => ({
  id: crypto.randomUUID(),
  type,
  contentType: 'application/json',
  data: Buffer.from(JSON.stringify(data)),
  metadata: Buffer.alloc(0),
});

interface Line extends Omit<LogEvent, 'position' | 'revision' | 'data' | 'metadata'> {
  readonly position: string;
  readonly revision: string;
  readonly data: string;
  readonly metadata: string;
}

const toLine = (event: LogEvent): string => {
  const line: Line = {
    ...event,
    position: String(event.position),
    revision: String(event.revision),
    data: event.data.toString('base64'),
    metadata: event.metadata.toString('base64'),
  };
  return `${JSON.stringify(line)}\n`;
};

const fromLine = (text: string): LogEvent => {
  const line = JSON.parse(text) as Line;
  return {
    ...line,
    position: BigInt(line.position),
    revision: BigInt(line.revision),
    data: Buffer.from(line.data, 'base64'),
    metadata: Buffer.from(line.metadata, 'base64'),
  };
};

import type Database from 'better-sqlite3';
import { Corrupt, Unavailable } from '../errors.js';
import type { StoredEvent } from './port.js';
import { inspect, openDatabase, storageError } from './sqlite.format.js';

/** How many positions one scan looks through: in a file shared with other prefixes it may find few of this one's, and must still be short. */
const SCAN_WINDOW = 10_000;

interface Row {
  readonly position: number;
  readonly stream: string;
  readonly revision: number;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string;
}

interface Scan {
  readonly events: StoredEvent[];
  /** The log was looked through up to here. */
  readonly seenTo: number;
  readonly atEnd: boolean;
}

/**
 * Reads over a connection of its own. Each statement is run to its end, so that no read transaction outlives a call: one that stayed open
 * would keep SQLite from ever emptying the write-ahead log. Positions are plain numbers here: 2^53 appends take 5,000 years.
 */
export class Reader {
  private readonly db: Database.Database;
  private readonly ofStream: Database.Statement<[string, number], Row>;
  private readonly between: Database.Statement<[number, number, string, string, number], Row>;
  private readonly lastBetween: Database.Statement<[number, number, string, string], number>;
  private readonly last: Database.Statement<[], number | null>;
  /** Of this prefix, as known when the log ended at `headSeen`: only what came since is looked through again. */
  private headAt = 0;
  private headSeen = 0;

  constructor(
    private readonly file: string,
    private readonly prefix: string,
  ) {
    this.db = openDatabase(file, { readonly: true, fileMustExist: true });
    try {
      if (inspect(this.db, file) === 'empty')
        throw new Unavailable(`${file} holds no log yet: start Lethe on it for writing first`);
      // The table's own order, never the index: it is the order asked for, and a scan ends with its first matches.
      const ofPrefix =
        'FROM events NOT INDEXED WHERE position > ? AND position <= ? AND substr(stream, 1, length(?)) = ?';
      const columns = 'position, stream, revision, id, type, data, metadata';
      this.ofStream = this.db.prepare(
        `SELECT ${columns} FROM events WHERE stream = ? AND revision >= ? ORDER BY revision`,
      );
      this.between = this.db.prepare(`SELECT ${columns} ${ofPrefix} ORDER BY position LIMIT ?`);
      this.lastBetween = this.db
        .prepare<[number, number, string, string], number>(`SELECT position ${ofPrefix} ORDER BY position DESC LIMIT 1`)
        .pluck();
      this.last = this.db.prepare<[], number | null>('SELECT max(position) FROM events').pluck();
    } catch (error) {
      this.db.close();
      throw storageError(error, file);
    }
  }

  stream(stream: string, from: number): StoredEvent[] {
    const rows = this.read(() => this.ofStream.all(stream, from));
    rows.forEach((row, index) => {
      if (row.revision === from + index) return;
      throw new Corrupt(
        `${this.file}: stream ${stream} has no revision ${from + index}, but a later one. Restore the file from a backup`,
      );
    });
    return rows.map(toEvent);
  }

  /** At most `size` events after `after`. What is later than the end, as seen first, waits for the next scan. */
  scan(after: number, size: number): Scan {
    return this.read(() => {
      const last = this.last.get() ?? 0;
      if (last <= after) return { events: [], seenTo: after, atEnd: true };
      const upTo = Math.min(last, after + SCAN_WINDOW);
      const rows = this.between.all(after, upTo, this.prefix, this.prefix, size);
      return { events: rows.map(toEvent), seenTo: rows[size - 1]?.position ?? upTo, atEnd: false };
    });
  }

  head(): number {
    return this.read(() => {
      const last = this.last.get() ?? 0;
      if (last > this.headSeen) {
        this.headAt = this.lastBetween.get(this.headSeen, last, this.prefix, this.prefix) ?? this.headAt;
        this.headSeen = last;
      }
      return this.headAt;
    });
  }

  close(): void {
    this.db.close();
  }

  private read<T>(query: () => T): T {
    if (!this.db.open) throw new Unavailable(`${this.file} was closed: open it again to read`);
    try {
      return query();
    } catch (error) {
      throw storageError(error, this.file);
    }
  }
}

const toEvent = ({ position, stream, revision, id, type, data, metadata }: Row): StoredEvent => ({
  position: BigInt(position),
  stream,
  revision,
  id,
  type,
  data,
  metadata,
});

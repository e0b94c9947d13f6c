import { mkdirSync, writeFileSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Ref } from '../../src/events/vocabulary.js';
import { temporaryFolder } from '../harness/service.js';
import { Disk, md5Of, type Lain } from './kill.disk.js';

/** What a caller heard of a command, or that it heard nothing. */
export type Heard =
  | { readonly kind: 'lost' }
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** The outcome, or a problem's code. */
      readonly said: string;
      readonly detail: string;
      readonly record: string | null;
      /** The record as it was answered, or its tombstone. */
      readonly shown: Readonly<Record<string, unknown>> | null;
      readonly etag: number | null;
      readonly position: bigint | null;
      readonly replayed: boolean;
    };

export type Answer = Extract<Heard, { kind: 'answer' }>;

/** A command that a caller sent, once or again: its correlation ids, which begin with its id, name it in the log. */
export interface Command {
  readonly id: string;
  readonly round: number;
  readonly method: string;
  readonly url: string;
  readonly actor: string;
  readonly key: string | null;
  readonly json: unknown;
  readonly metadata: Record<string, unknown> | null;
  /** Of an upload; let go once it will not be sent again. */
  content: Buffer | null;
  readonly headers: Record<string, string>;
  /** How often it was sent. */
  sent: number;
  readonly heard: Heard[];
}

/** A folder of files that somebody else than the service put there, for registering by path. */
export interface Put {
  /** `lab` or `foreign`, and the path below it, ending in `/`. */
  readonly home: 'lab' | 'foreign';
  readonly path: string;
  readonly files: string[];
}

/** Storages that lie in `lab`, by their folder there. */
const WITHIN = [
  ['deep/', 'inner'],
  ['sealed/', 'sealed'],
] as const;

/** Through which storages a folder can be reached, and as what path. */
export const waysTo = ({ home, path }: Put): { storage: string; path: string }[] => {
  const inner = WITHIN.filter(([folder]) => path.startsWith(folder));
  return [{ storage: home, path }, ...inner.map(([folder, storage]) => ({ storage, path: path.slice(folder.length) }))];
};

/** All that the test knows by itself: what it asked for, what it was told, and what it put on the disk behind the service's back. */
export class World {
  readonly commands = new Map<string, Command>();
  /** The MD5 of every content that anybody meant to store whole. */
  readonly contents = new Set<string>();
  readonly puts: Put[] = [];
  /** Files that the test itself laid down, until the next check takes them over. */
  readonly laid: Lain[] = [];
  /** Live records as last heard of, by registry, the newest last. */
  readonly pool = new Map<string, string[]>();
  /** The end of what was acknowledged. */
  acknowledged = 0n;
  readonly disk: Disk;
  private count = 0;

  private constructor(
    readonly folder: string,
    readonly data: string,
  ) {
    this.disk = new Disk([join(data, 'objects'), join(folder, 'lab'), join(folder, 'foreign')]);
  }

  static async make(): Promise<World> {
    const folder = await realpath(await temporaryFolder());
    const data = join(folder, 'data');
    for (const name of ['data/objects', 'lab/deep', 'lab/sealed', 'foreign'])
      mkdirSync(join(folder, name), { recursive: true });
    const root = (name: string): string => `file:${join(folder, name)}`;
    const config = {
      storages: [
        { name: 'lab', root: root('lab') },
        { name: 'inner', root: root('lab/deep') },
        { name: 'sealed', root: root('lab/sealed'), managed: false },
        { name: 'foreign', root: root('foreign'), managed: false },
      ],
      purges: { attempts: 5, firstWaitMs: 50, maxWaitMs: 400 },
    };
    writeFileSync(join(data, 'lethe.json'), JSON.stringify(config));
    return new World(folder, data);
  }

  /** A number that never came before. */
  number(): number {
    this.count += 1;
    return this.count;
  }

  uids(registry: string): readonly string[] {
    return this.pool.get(registry) ?? [];
  }

  add({ registry, uid }: Ref): void {
    this.pool.set(registry, [...this.uids(registry), uid]);
  }

  /** Lays a new file down as an outsider would. */
  lay(location: string, content: Buffer): void {
    // The service prunes folders that are empty by then: whoever writes beside it makes them again.
    for (let tries = 0; ; tries += 1) {
      try {
        mkdirSync(dirname(location), { recursive: true });
        writeFileSync(location, content, { flag: 'wx' });
        break;
      } catch (error) {
        const pruned = error instanceof Error && 'code' in error && error.code === 'ENOENT';
        if (!pruned || tries === 100) throw error;
      }
    }
    this.contents.add(md5Of(content));
    const lain = this.disk.look(location);
    if (lain === null) throw new Error(`${location} vanished as soon as it was written`);
    this.laid.push(lain);
  }

  placeOf(home: Put['home'], path: string): string {
    return join(this.folder, home, path);
  }
}

import type { Proposed } from './eventstoredb.log.js';

/** An append that is held back before it is written, so that a test decides what comes before it in the log. */
export interface Held {
  /** Resolves once such an append has come: whoever sends it has read and decided by then. */
  readonly arrived: Promise<void>;
  /** Lets it through, and whatever comes after it. Safe to call twice. */
  release(): void;
  /** Loses what waits: it is neither written nor answered. What comes after it is let through. */
  lose(): void;
}

interface Hold extends Held {
  readonly stream: string;
  readonly type: string;
  /** The id of what waits; null: nothing came yet. */
  id: string | null;
  readonly arrive: () => void;
  readonly released: Promise<void>;
}

/** Which appends are held back. A hold takes the first that comes and stands until it is released: a repeat of it, with the same ids, waits as well. */
export class Holds {
  private readonly standing = new Set<Hold>();

  /**
   * @param stream part of the stream's name
   * @param type of one of the append's events
   */
  hold(stream: string, type: string): Held {
    let [arrive, letGo] = [(): void => undefined, (): void => undefined];
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const released = new Promise<void>((resolve) => (letGo = resolve));
    const lose = (): void => void this.standing.delete(hold);
    const release = (): void => {
      lose();
      letGo();
    };
    const hold: Hold = { stream, type, id: null, arrived, arrive, released, release, lose };
    this.standing.add(hold);
    return hold;
  }

  /** Resolves once nothing holds this append back that did when it came. */
  async pass(stream: string, proposed: readonly Proposed[]): Promise<void> {
    const [first] = proposed;
    if (first === undefined) return;
    const holding = [...this.standing].filter((hold) => {
      if (hold.id !== null) return hold.id === first.id;
      return stream.includes(hold.stream) && proposed.some(({ type }) => type === hold.type);
    });
    for (const hold of holding) {
      hold.id = first.id;
      hold.arrive();
      await hold.released;
    }
  }

  releaseAll(): void {
    for (const hold of this.standing) hold.release();
  }
}

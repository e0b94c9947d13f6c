import { createInterface, type Interface } from 'node:readline';
import { unlessAborted } from './abort.js';

/** Asks whoever sits at the terminal. */
export class Question {
  private lines: {
    readonly reader: Interface;
    readonly next: () => Promise<IteratorResult<string, undefined>>;
  } | null = null;

  constructor(private readonly signal: AbortSignal) {}

  /** Whether there is anybody to ask. */
  get canAsk(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY;
  }

  /** @returns whether the answer is yes; nothing, and the end of the input, are no */
  async yes(question: string): Promise<boolean> {
    process.stderr.write(`${question} `);
    let answer: IteratorResult<string, undefined> | null = null;
    try {
      answer = await unlessAborted(this.read().next(), this.signal);
    } finally {
      if (answer?.done !== false) process.stderr.write('\n'); // nobody pressed Enter
    }
    return answer.done !== true && /^y(es)?$/i.test(answer.value.trim());
  }

  close(): void {
    this.lines?.reader.close();
  }

  /** One reader for all questions: another one would lose what was typed ahead. The terminal edits the line, and turns Ctrl-C into a signal. */
  private read() {
    if (this.lines !== null) return this.lines;
    const reader = createInterface({ input: process.stdin, terminal: false });
    const iterator = reader[Symbol.asyncIterator]();
    this.lines = { reader, next: () => iterator.next() };
    return this.lines;
  }
}

import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Answer } from './service.js';

/** One message of an event stream. */
export interface Message {
  readonly id: string;
  readonly event: string;
  readonly data: Answer['body'];
}

/** A reader of `GET /v1/events` on a connection of its own. */
export class EventStreamReader {
  readonly messages: Message[] = [];
  comments = 0;
  /** Whether the connection is over, from whichever side. */
  ended = false;
  private rest = '';

  private constructor(readonly answer: IncomingMessage) {
    answer.setEncoding('utf8');
    answer.on('data', (text: string) => this.read(text));
    answer.on('error', () => undefined);
    answer.on('close', () => (this.ended = true));
  }

  /** Resolves with the answer's headers. @throws Error where the answer is not a stream */
  static async open(
    url: string,
    path = '/v1/events',
    headers: Readonly<Record<string, string>> = {},
  ): Promise<EventStreamReader> {
    const sent = request(url + path, { headers, agent: false });
    sent.on('error', () => undefined);
    sent.end();
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    if (answer.statusCode !== 200) throw new Error(`the event stream answered ${answer.statusCode}`);
    return new EventStreamReader(answer);
  }

  get ids(): string[] {
    return this.messages.map(({ id }) => id);
  }

  /** Reads nothing from now on. */
  stick(): void {
    this.answer.pause();
  }

  leave(): void {
    this.answer.destroy();
  }

  private read(text: string): void {
    const blocks = (this.rest + text).split('\n\n');
    this.rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon), line.slice(colon + 1).trim()] as const;
        }),
      );
      const [id, event, data] = [fields.get('id'), fields.get('event'), fields.get('data')];
      if (id !== undefined && event !== undefined && data !== undefined)
        this.messages.push({ id, event, data: JSON.parse(data) });
      else if (fields.has('')) this.comments += 1;
    }
  }
}

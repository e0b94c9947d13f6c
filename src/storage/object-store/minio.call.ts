import http, { type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import https from 'node:https';
import { NoAnswer } from './minio.errors.js';

type Listener = (answer: IncomingMessage) => void;

/** How many times longer than a silence a whole call may take: a server that sends a byte now and then holds nobody for ever. */
const SILENCES = 20;

/** One request on its way: the transport that the driver sends it by, with the timers and the signal that the driver has not. */
export class Call {
  /** What came back, also where the driver made an error of it. */
  answer: IncomingMessage | null = null;
  /** Why the call was ended from here. */
  ended: NoAnswer | null = null;
  private letGo: () => void = () => undefined;

  /** @param silenceMs how long no byte may come or go */
  constructor(
    private readonly silenceMs: number,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** As `request` of `node:http` is; the driver calls it in one way. */
  readonly request = (
    options: RequestOptions | string | URL,
    onAnswer?: RequestOptions | Listener,
    _?: Listener,
  ): ClientRequest => {
    if (typeof options === 'string' || options instanceof URL || typeof onAnswer !== 'function')
      throw new TypeError('the driver was expected to name a request by its options, and to listen for the answer');
    const scheme = options.protocol === 'https:' ? https : http;
    const outgoing = scheme.request(options, (answer) => {
      this.answer = answer;
      onAnswer(answer);
    });
    this.watch(outgoing);
    return outgoing;
  };

  /** From here on nobody watches it: neither the timers nor the signal. */
  release(): void {
    this.letGo();
  }

  private watch(outgoing: ClientRequest): void {
    const end = (code: string) => {
      this.ended ??= new NoAnswer(code);
      outgoing.destroy(this.ended);
    };
    const aborted = () => end('Aborted');
    const late = () => end('TimedOut');
    const whole = setTimeout(late, this.silenceMs * SILENCES);
    outgoing.setTimeout(this.silenceMs, late);
    this.signal?.addEventListener('abort', aborted, { once: true });
    this.letGo = () => {
      clearTimeout(whole);
      outgoing.setTimeout(0);
      outgoing.off('timeout', late);
      this.signal?.removeEventListener('abort', aborted);
    };
    outgoing.once('close', this.letGo);
  }
}

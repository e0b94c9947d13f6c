import type { Fetch } from '../client/transport.js';

/** Counts the bytes of bodies as they are sent. Where nobody listens, nothing is counted. */
export class Meter {
  private listener: { readonly restarted: () => void; readonly sent: (bytes: number) => void } | null = null;

  listen(listener: Meter['listener']): void {
    this.listener = listener;
  }

  readonly through =
    (fetch: Fetch): Fetch =>
    (request) => {
      const listener = this.listener;
      if (listener === null || request.body === null) return fetch(request);
      listener.restarted();
      const counting = new TransformStream<Uint8Array, Uint8Array>({
        transform: (chunk, controller) => {
          listener.sent(chunk.byteLength);
          controller.enqueue(chunk);
        },
      });
      return fetch(new Request(request, { body: request.body.pipeThrough(counting), duplex: 'half' }));
    };
}

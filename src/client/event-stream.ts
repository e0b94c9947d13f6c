/*
 * Server-Sent Events as `fetch` brings them (the HTML standard, section 9.2.6): what the API sends of it.
 */

export interface Message {
  readonly id: string;
  readonly data: string;
}

/** A connection that says nothing for so long is dead: a comment comes every 15 s. */
const SILENCE_MS = 45_000;

/**
 * The messages of one connection, until it ends.
 * @throws whatever breaks it off; SilentStream where nothing came for too long
 */
export async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Message> {
  const reader = body.getReader();
  const text = new TextDecoder();
  let rest = '';
  let id = '';
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await heard(reader.read());
      if (done) return;
      const lines = (rest + text.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (data.length > 0) yield { id, data: data.join('\n') };
          data = [];
          continue;
        }
        const [, name, fieldValue = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
        if (name === 'data') data.push(fieldValue);
        else if (name === 'id') id = fieldValue;
      }
    }
  } finally {
    await reader.cancel().catch((error: unknown) => error); // it broke off by itself: whoever reads has heard
  }
}

const heard = async <T>(work: Promise<T>): Promise<T> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new SilentStream()), SILENCE_MS);
  });
  try {
    return await Promise.race([work, silence]);
  } finally {
    clearTimeout(timer);
  }
};

class SilentStream extends Error {
  override readonly name = 'SilentStream';
  constructor() {
    super(`nothing was heard for ${SILENCE_MS / 1_000} s`);
  }
}

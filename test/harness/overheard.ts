import { expect } from 'vitest';
import type { Answer, RequestOptions, RunningService } from './service.js';

/** All that services said to anybody, to be searched for what they must not say. */
export class Overheard {
  private readonly answers: string[] = [];
  private readonly services: RunningService[] = [];

  constructor(private readonly secrets: readonly string[]) {}

  listen<S extends RunningService>(service: S): S {
    this.services.push(service);
    return service;
  }

  /** A request whose answer is kept. */
  async ask(service: RunningService, method: string, path: string, options?: RequestOptions): Promise<Answer> {
    const answer = await service.request(method, path, options);
    this.answers.push(JSON.stringify([answer.body, ...answer.headers]));
    return answer;
  }

  /** Neither as they are, nor as an address or a header would carry them. */
  expectNoSecret(): void {
    expect(this.services.length).toBeGreaterThan(0);
    const said = [...this.answers, ...this.services.map((service) => service.log())].join('\n');
    for (const secret of this.secrets) {
      for (const form of [secret, Buffer.from(secret).toString('base64').slice(0, -4)]) {
        const at = said.indexOf(form);
        expect(at < 0 ? null : said.slice(Math.max(0, at - 200), at), `a secret behind`).toBeNull();
      }
    }
  }
}

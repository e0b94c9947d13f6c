import { afterEach, describe, expect, it } from 'vitest';
import { connect, Invalid, type Lethe } from '../../src/client/connect.js';
import { lost, none, problem, row, scripted, type Answering, type Scripted } from './scripted.js';

let service: Scripted | null = null;

const speaking = async (...script: Answering[]): Promise<{ readonly lethe: Lethe; readonly service: Scripted }> => {
  service = await scripted(none, ...script);
  return { lethe: await connect(service.url), service };
};

afterEach(async () => {
  await service?.close();
  service = null;
});

const message = (position: string): string =>
  `id: ${position}\nevent: RecordTrashed\ndata: ${JSON.stringify(row(position))}\n\n`;

/** A stream that says these, and then ends or goes on. */
const says =
  (text: string, goesOn = false): Answering =>
  (_, reply) => {
    reply.writeHead(200, { 'Content-Type': 'text/event-stream', 'X-Position': '100' });
    reply.write(text);
    if (!goesOn) reply.end();
  };

const positionsOf = async (events: AsyncIterable<{ position: string }>, count: number): Promise<string[]> => {
  const found: string[] = [];
  for await (const { position } of events) {
    found.push(position);
    if (found.length === count) break;
  }
  return found;
};

describe('events', () => {
  it('go on after the last one where the connection is lost', async () => {
    const { lethe, service } = await speaking(
      says(`retry: 1000\n\n${message('101')}: still here\n\n`),
      lost,
      problem('overloaded', 503, {}, { 'Retry-After': '0' }),
      says(message('102') + message('103'), true),
    );
    expect(await positionsOf(lethe.events({ type: 'RecordTrashed' }), 3)).toEqual(['101', '102', '103']);
    expect(service.came.slice(1).map(({ url }) => url.search)).toEqual([
      '?type=RecordTrashed',
      '?type=RecordTrashed&after=101',
      '?type=RecordTrashed&after=101',
      '?type=RecordTrashed&after=101',
    ]);
  });

  it('miss nothing that happens before the first one is seen', async () => {
    const { lethe, service } = await speaking(says(''), says(message('101'), true));
    expect(await positionsOf(lethe.events(), 1)).toEqual(['101']);
    expect(service.came[2]?.url.search).toBe('?after=100');
  });

  it('come whole, wherever the network cuts them', async () => {
    const { lethe } = await speaking((_, reply) => {
      reply.writeHead(200, { 'Content-Type': 'text/event-stream' });
      const bytes = Buffer.from(`${message('101').replace('alice', 'Zoë')}${message('102')}`.replaceAll('\n', '\r\n'));
      const write = (at: number): void => {
        if (at < bytes.length) reply.write(bytes.subarray(at, at + 1), () => write(at + 1));
      };
      write(0);
    });
    const seen: string[] = [];
    for await (const { position, actor } of lethe.events()) {
      seen.push(`${position} ${actor}`);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual(['101 Zoë', '102 alice']);
  });

  it('end with the refusal of what is asked', async () => {
    const { lethe, service } = await speaking(problem('invalid', 422));
    await expect(positionsOf(lethe.events({ type: 'Nothing' }), 1)).rejects.toThrow(Invalid);
    expect(service.came).toHaveLength(2);
  });

  it('end where the service is another one when it comes back', async () => {
    const { lethe } = await speaking(says(message('101')), problem('invalid', 422));
    await expect(positionsOf(lethe.events(), 2)).rejects.toThrow(Invalid);
  });

  it('end with the signal, and leave no connection behind', async () => {
    let open = true;
    const { lethe } = await speaking((came, reply) => {
      void says(message('101'), true)(came, reply);
      reply.once('close', () => {
        open = false;
      });
    });
    const stopping = new AbortController();
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const event of lethe.events({}, { signal: stopping.signal })) {
        expect(event.position).toBe('101');
        stopping.abort(reason);
      }
    })();
    await expect(reading).rejects.toBe(reason);
    await expect.poll(() => open).toBe(false);
  });

  it('end where one stops reading, and leave no connection behind', async () => {
    let open = true;
    const { lethe } = await speaking((came, reply) => {
      void says(message('101'), true)(came, reply);
      reply.once('close', () => {
        open = false;
      });
    });
    expect(await positionsOf(lethe.events(), 1)).toEqual(['101']);
    await expect.poll(() => open).toBe(false);
  });
});

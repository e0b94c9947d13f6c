import type { CommandBus } from '@nestjs/cqrs';
import type { FastifyInstance } from 'fastify';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { Refusal } from './commands/refusals.js';
import type { Clock, Log } from './ports.js';
import { OPEN_STATES, type ProjectionState, type PurgeQueue } from './projections/state.js';

/** A store that does not answer within this time is left out: a scrape waits for no more. */
const ANSWER_MS = 2_000;
const SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface MetricSources {
  readonly clock: Clock;
  readonly log: Log;
  readonly projection: () => Promise<ProjectionState>;
  readonly purges: () => Promise<PurgeQueue>;
  /** Of this process's projector; null where it has none. */
  readonly skipped: () => number | null;
  readonly halted: () => boolean | null;
  readonly paced: () => number;
  readonly readers: () => number;
  readonly dropped: () => number;
}

/**
 * What Prometheus asks for. Every label takes few values, whatever callers send: routes are named by their patterns, commands and outcomes
 * by the code's own words.
 */
export class Metrics {
  private readonly registry = new Registry();
  private hasDefaults = false;
  private readonly requests = new Counter({
    name: 'lethe_http_requests_total',
    help: 'Requests answered.',
    labelNames: ['method', 'route', 'status'],
    registers: [this.registry],
  });
  private readonly durations = new Histogram({
    name: 'lethe_http_request_duration_seconds',
    help: 'Time to the end of the answer; live streams are left out.',
    labelNames: ['method', 'route'],
    buckets: SECONDS,
    registers: [this.registry],
  });
  private readonly commands = new Counter({
    name: 'lethe_commands_total',
    help: "Commands by what they came to: an outcome, a refusal's code, or error.",
    labelNames: ['command', 'outcome'],
    registers: [this.registry],
  });
  private readonly position = this.gauge('lethe_projection_position', 'The position up to which the read model is.');
  private readonly head = this.gauge('lethe_log_head_position', "The position of the log's last event.");
  private readonly lagEvents = this.gauge(
    'lethe_projection_lag_events',
    'Events that are not in the read model yet; absent where the log does not number them.',
  );
  private readonly lagSeconds = this.gauge(
    'lethe_projection_lag_seconds',
    'Age of the first event that is not in the read model yet.',
  );
  private readonly skipped = this.gauge(
    'lethe_projection_skipped_events',
    'Events of unknown types that this process skipped since its start: it is older than the log.',
  );
  private readonly halted = this.gauge(
    'lethe_projection_halted',
    '1 where the projection of this process waits for a person.',
  );
  private readonly purges = new Gauge({
    name: 'lethe_purges',
    help: 'Purges that have not ended.',
    labelNames: ['state'],
    registers: [this.registry],
  });
  private readonly paced = this.gauge(
    'lethe_commands_paced',
    'Commands that waited, since the start, until the read model had come nearer.',
  );
  private readonly readers = this.gauge('lethe_event_stream_readers', 'Who follows GET /v1/events now.');
  private readonly dropped = this.gauge(
    'lethe_event_stream_dropped_readers',
    'Live streams that were ended since the start because nobody read them.',
  );
  private readonly answering = new Gauge({
    name: 'lethe_store_answers',
    help: '1 where the store answered this scrape; what it would have told is absent otherwise.',
    labelNames: ['store'],
    registers: [this.registry],
  });

  /** To be called before the server is ready. */
  countRequests(server: FastifyInstance): void {
    server.addHook('onResponse', async (request, reply) => {
      const { method } = request;
      const route = request.is404 ? 'none' : (request.routeOptions.url ?? 'none');
      this.requests.inc({ method, route, status: reply.statusCode });
      if (route !== '/v1/events') this.durations.observe({ method, route }, reply.elapsedTime / 1_000);
    });
  }

  /** Looks at every command that goes over the bus, the sagas' too. */
  countCommands(bus: CommandBus): void {
    const execute = bus.execute.bind(bus);
    bus.execute = async <R>(command: object): Promise<R> => {
      try {
        const result = await execute<object, R>(command);
        this.commands.inc({ command: command.constructor.name, outcome: outcomeOf(result) });
        return result;
      } catch (error) {
        this.commands.inc({ command: command.constructor.name, outcome: refusalOf(error) });
        throw error;
      }
    };
  }

  /** @returns the exposition format of Prometheus, with what the stores say now */
  async read(sources: MetricSources): Promise<{ contentType: string; text: string }> {
    // Not before somebody asks: what measures the event loop runs on.
    if (!this.hasDefaults) collectDefaultMetrics({ register: this.registry });
    this.hasDefaults = true;
    set(this.skipped, sources.skipped());
    set(this.halted, halt(sources.halted()));
    set(this.paced, sources.paced());
    set(this.readers, sources.readers());
    set(this.dropped, sources.dropped());
    const [projection, purges] = await Promise.all([
      this.ask('event-store', sources, sources.projection),
      this.ask('read-model', sources, sources.purges),
    ]);
    set(this.position, projection === null ? null : Number(projection.position));
    set(this.head, projection === null ? null : Number(projection.head));
    set(this.lagEvents, projection?.lagEvents ?? null);
    set(this.lagSeconds, projection === null ? null : projection.lagMs / 1_000);
    for (const state of OPEN_STATES) {
      if (purges === null) this.purges.remove({ state });
      else this.purges.set({ state }, purges[state]);
    }
    return { contentType: this.registry.contentType, text: await this.registry.metrics() };
  }

  private async ask<T>(store: string, { clock, log }: MetricSources, question: () => Promise<T>): Promise<T | null> {
    const timer = new AbortController();
    const late = clock.sleep(ANSWER_MS, timer.signal).then(
      () => null,
      () => null,
    );
    const answered = question().catch((error: unknown) => {
      log.warn({ store, error: error instanceof Error ? error.message : String(error) }, 'a store told no metrics');
      return null;
    });
    const answer = await Promise.race([answered, late]);
    timer.abort();
    this.answering.set({ store }, answer === null ? 0 : 1);
    return answer;
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ name, help, registers: [this.registry] });
  }
}

/** What nobody knows is absent, and not 0. */
const set = (gauge: Gauge, value: number | null): void => {
  if (value === null) gauge.remove();
  else gauge.set(value);
};

const halt = (halted: boolean | null): number | null => (halted === null ? null : Number(halted));

const outcomeOf = (result: unknown): string =>
  typeof result === 'object' && result !== null && 'outcome' in result && typeof result.outcome === 'string'
    ? result.outcome
    : 'done';

/** A refusal has one of the contract's codes; a driver's error may have any. */
const refusalOf = (error: unknown): string => (error instanceof Refusal ? error.code : 'error');

import {
  Server,
  ServerCredentials,
  status,
  type sendUnaryData,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import gossipService from '@eventstore/db-client/generated/gossip_grpc_pb.js';
import type { ClusterInfo } from '@eventstore/db-client/generated/gossip_pb.js';
import featuresService from '@eventstore/db-client/generated/serverfeatures_grpc_pb.js';
import type { SupportedMethods } from '@eventstore/db-client/generated/serverfeatures_pb.js';
import type { Empty } from '@eventstore/db-client/generated/shared_pb.js';
import streamsService from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  ReadReq,
  ReadResp,
} from '@eventstore/db-client/generated/streams_pb.js';
import { randomUUID } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { Holds } from './eventstoredb.holds.js';
import { EventStoreDbLog, type AppendOutcome, type Expected, type Proposed } from './eventstoredb.log.js';
import {
  type BatchResult,
  appendAnswer,
  badRequestStatus,
  batchAnswer,
  conflictStatus,
  deletedStatus,
  expectedOf,
  isUuid,
  nameOf,
  notLeader,
  proposedOf,
  serverError,
  sizeOf,
  streamDeleted,
  tooLarge,
  tooLargeStatus,
} from './eventstoredb.messages.js';
import { clusterOf, supportedMethods } from './eventstoredb.node.js';
import { serveRead } from './eventstoredb.reads.js';

/** What goes wrong, from now on, until it is set back. */
export interface Faults {
  /** Calls are refused with code 14, as by a server that is starting. */
  refuse: boolean;
  /** Calls are taken and never answered. What an append carries is not written. */
  hang: boolean;
  /** So many of the next appends are written, and the connection of their call then breaks. */
  loseAnswers: number;
  /** So many of the next calls hear that another node leads: this one, at the same place. */
  notLeader: number;
  /** The user may not do what is asked. */
  deny: boolean;
  /** Each answer waits so long. */
  delayMs: number;
  /** Appends are answered without their position, as a repeat is that comes before the index has taken in the first. */
  hidePositions: boolean;
  /** The largest append that is taken: MaxAppendSize in the server's configuration. */
  maxAppendBytes: number;
}

/** A gRPC server that speaks EventStoreDB's protocol to the real client, and behaves as a real 23.10.6 was seen to behave. */
export interface EventStoreDouble {
  readonly url: string;
  readonly port: number;
  /** What is stored. With a data file it is read anew at each start. */
  readonly log: EventStoreDbLog;
  readonly faults: Faults;
  /** Which appends wait before they are written. */
  readonly holds: Holds;
  /** The calls that came since the beginning, and the events that went out. */
  readonly seen: Record<'appends' | 'batches' | 'reads' | 'subscriptions' | 'gossips' | 'events', number>;
  /** How many subscriptions are fed at present. */
  readonly openSubscriptions: number;
  /** Ends all subscriptions as a lost connection does. */
  cutSubscriptions(): void;
  /** Stops as kill -9 does: every connection breaks. What was written stays. */
  stop(): Promise<void>;
  /** Listens again, on the same port. */
  start(): Promise<void>;
}

/**
 * @param options.port 0 for any that is free
 * @param options.dataFile keeps the log over a process's end; without, it lasts as long as the double
 */
export const startEventStoreDouble = async (
  options: { port?: number; dataFile?: string } = {},
): Promise<EventStoreDouble> => {
  for (;;) {
    const double = new Double(options.port ?? 0, options.dataFile ?? null);
    await double.start();
    if (options.port !== undefined || !givenOut.has(double.port)) {
      givenOut.add(double.port);
      return double;
    }
    await double.stop();
  }
};

/** gRPC keeps for a while what it knows of an address, that nobody answered there too: no two doubles of a process have the same. */
const givenOut = new Set<number>();

type ReadCall = ServerWritableStream<ReadReq, ReadResp>;

class Double implements EventStoreDouble {
  readonly faults: Faults = {
    refuse: false,
    hang: false,
    loseAnswers: 0,
    notLeader: 0,
    deny: false,
    delayMs: 0,
    hidePositions: false,
    maxAppendBytes: 1024 * 1024,
  };
  readonly holds = new Holds();
  readonly seen = { appends: 0, batches: 0, reads: 0, subscriptions: 0, gossips: 0, events: 0 };
  log: EventStoreDbLog;
  private server: Server | null = null;
  private readonly subscriptions = new Set<ReadCall>();

  constructor(
    public port: number,
    private readonly dataFile: string | null,
  ) {
    this.log = new EventStoreDbLog(dataFile);
  }

  get url(): string {
    return `esdb://127.0.0.1:${this.port}?tls=false`;
  }

  get openSubscriptions(): number {
    return this.subscriptions.size;
  }

  async start(): Promise<void> {
    if (this.server !== null) return;
    const server = new Server();
    server.addService(featuresService.ServerFeaturesService, {
      getSupportedMethods: (_: ServerUnaryCall<Empty, SupportedMethods>, answer: sendUnaryData<SupportedMethods>) =>
        void this.guard(
          () => answer(null, supportedMethods()),
          (error) => answer(error),
        ),
    });
    server.addService(gossipService.GossipService, {
      read: (_: ServerUnaryCall<Empty, ClusterInfo>, answer: sendUnaryData<ClusterInfo>) => {
        this.seen.gossips += 1;
        void this.guard(
          () => answer(null, clusterOf('127.0.0.1', this.port)),
          (error) => answer(error),
        );
      },
    });
    server.addService(streamsService.StreamsService, {
      append: (call: ServerReadableStream<AppendReq, AppendResp>, answer: sendUnaryData<AppendResp>) =>
        void this.append(call, answer),
      batchAppend: (call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>) => this.batchAppend(call),
      read: (call: ReadCall) => void this.read(call),
    });
    this.port = await new Promise((resolve, reject) => {
      server.bindAsync(`127.0.0.1:${this.port}`, ServerCredentials.createInsecure(), (error, port) => {
        if (error === null) resolve(port);
        else reject(error);
      });
    });
    this.server = server;
    if (this.dataFile === null) this.log.forgetRecent();
    else this.log = new EventStoreDbLog(this.dataFile);
  }

  async stop(): Promise<void> {
    this.server?.forceShutdown();
    this.server = null;
    this.subscriptions.clear();
  }

  cutSubscriptions(): void {
    for (const call of this.subscriptions) call.emit('error', serverError(status.UNAVAILABLE, 'Connection dropped'));
    this.subscriptions.clear();
  }

  private async append(
    call: ServerReadableStream<AppendReq, AppendResp>,
    answer: sendUnaryData<AppendResp>,
  ): Promise<void> {
    this.seen.appends += 1;
    let [stream, expected]: [string, Expected] = ['', 'any'];
    const proposed: Proposed[] = [];
    try {
      for await (const request of call as AsyncIterable<AppendReq>) {
        const [options, message] = [request.getOptions(), request.getProposedMessage()];
        if (options !== undefined) {
          [stream, expected] = [nameOf(options.getStreamIdentifier()), expectedOf(options, options.getRevision())];
        }
        if (message !== undefined) proposed.push(proposedOf(message));
      }
    } catch {
      return; // the client left before it had said all
    }
    await this.guard(
      async () => {
        await this.holds.pass(stream, proposed);
        if (sizeOf(proposed) > this.faults.maxAppendBytes) throw tooLarge(this.faults.maxAppendBytes);
        if (!proposed.every(({ id }) => isUuid(id)))
          throw serverError(status.UNKNOWN, 'Exception was thrown by handler.');
        const outcome = this.write(stream, expected, proposed);
        if (outcome.kind === 'deleted') throw streamDeleted(stream);
        answer(null, appendAnswer(outcome, expected));
      },
      (error) => answer(error),
    );
  }

  /** Each request is answered under its correlation id; an error of the call itself ends all that are under way in it. */
  private batchAppend(call: ServerDuplexStream<BatchAppendReq, BatchAppendResp>): void {
    this.seen.batches += 1;
    const pending = new Map<string, { stream: string; expected: Expected; proposed: Proposed[] }>();
    call.on('data', (request: BatchAppendReq) => {
      const correlation = request.getCorrelationId();
      const key = correlation?.getString() ?? '';
      const options = request.getOptions();
      if (options !== undefined) {
        const stream = nameOf(options.getStreamIdentifier());
        pending.set(key, { stream, expected: expectedOf(options, options.getStreamPosition()), proposed: [] });
      }
      const append = pending.get(key);
      if (append === undefined) return;
      const { stream, expected, proposed } = append;
      proposed.push(...request.getProposedMessagesList().map(proposedOf));
      if (!request.getIsFinal()) return;
      pending.delete(key);
      void this.guard(
        async () => {
          await this.holds.pass(stream, proposed);
          call.write(batchAnswer(correlation, stream, this.batchResult(stream, expected, proposed)));
        },
        (error) => call.emit('error', error),
      );
    });
    call.on('end', () => call.end());
    call.on('error', () => pending.clear());
  }

  private batchResult(stream: string, expected: Expected, proposed: readonly Proposed[]): BatchResult {
    if (sizeOf(proposed) > this.faults.maxAppendBytes) return tooLargeStatus(this.faults.maxAppendBytes);
    if (!proposed.every(({ id }) => isUuid(id))) return badRequestStatus('Unrecognized Guid format.');
    const outcome = this.write(stream, expected, proposed);
    if (outcome.kind === 'deleted') return deletedStatus(stream);
    return outcome.kind === 'conflict' ? conflictStatus(outcome.actual, expected) : outcome;
  }

  private async read(call: ReadCall): Promise<void> {
    const isSubscription = call.request.getOptions()?.hasSubscription() === true;
    this.seen[isSubscription ? 'subscriptions' : 'reads'] += 1;
    const fail = (error: unknown): void => void call.emit('error', error);
    call.on('error', () => this.subscriptions.delete(call));
    await this.guard(async () => {
      if (isSubscription) this.subscriptions.add(call);
      await serveRead(this.log, call, randomUUID(), this.seen);
      this.subscriptions.delete(call);
    }, fail);
  }

  private write(stream: string, expected: Expected, proposed: readonly Proposed[]): AppendOutcome {
    const outcome = this.log.append(stream, expected, proposed);
    if (this.faults.hidePositions && outcome.kind === 'appended') return { ...outcome, position: null };
    if (this.faults.loseAnswers <= 0) return outcome;
    this.faults.loseAnswers -= 1;
    throw serverError(status.UNAVAILABLE, 'Connection dropped');
  }

  /** Does what a call asks for, unless a fault is set. */
  private async guard(
    work: () => void | Promise<void>,
    fail: (error: ReturnType<typeof serverError>) => void,
  ): Promise<void> {
    const { faults } = this;
    if (faults.hang) return;
    if (faults.delayMs > 0) await setTimeout(faults.delayMs);
    if (faults.refuse) {
      fail(serverError(status.UNAVAILABLE, 'Server Is Not Ready'));
      return;
    }
    if (faults.deny) {
      fail(serverError(status.PERMISSION_DENIED, 'Access Denied', { exception: 'access-denied' }));
      return;
    }
    if (faults.notLeader > 0) {
      faults.notLeader -= 1;
      fail(notLeader('127.0.0.1', this.port));
      return;
    }
    try {
      await work();
    } catch (error) {
      if (error instanceof Error && 'metadata' in error) fail(error as ReturnType<typeof serverError>);
      else fail(serverError(status.UNKNOWN, `the double failed: ${String(error)}`));
    }
  }
}

import 'reflect-metadata';
import { Controller, Inject, Module, Post, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openSqliteEventStore, type SqliteEventStore } from '../src/storage/event-store/sqlite.js';

/*
 * The floor: the least that a durable write over HTTP costs with these parts. Bare Nest on Fastify, one route, one append of one 300-byte
 * event to a stream of its own by Lethe's own SQLite adapter; the answer comes when the append is on disk. No command, no history to read,
 * no projection.
 */

const STORE = Symbol('the event store');

/** 300 bytes of JSON, as `data` and `metadata` together. */
const METADATA = JSON.stringify({ version: 1, actor: 'bench' });
const DATA = JSON.stringify({ text: 'x'.repeat(300 - METADATA.length - '{"text":""}'.length) });

@Controller()
class FloorController {
  private count = 0;

  constructor(@Inject(STORE) private readonly store: SqliteEventStore) {}

  @Post('append')
  async append(@Res({ passthrough: true }) reply: FastifyReply): Promise<{ position: string }> {
    const event = { id: randomUUID(), type: 'Appended', data: DATA, metadata: METADATA };
    const { position } = await this.store.append(`floor.${(this.count += 1)}`, -1, [event]);
    reply.code(200).header('X-Position', String(position));
    return { position: String(position) };
  }
}

const store = await openSqliteEventStore({
  file: join(process.env['FLOOR_DATA'] ?? '', 'events.sqlite'),
  prefix: 'floor.',
  mode: 'read-write',
});

@Module({ controllers: [FloorController], providers: [{ provide: STORE, useValue: store }] })
class FloorModule {}

const app = await NestFactory.create<NestFastifyApplication>(FloorModule, new FastifyAdapter(), {
  logger: false,
  bodyParser: false,
});
await app.listen(0, '127.0.0.1');
process.once('SIGTERM', () => {
  void app
    .close()
    .then(() => store.close())
    .then(() => process.exit(0));
});
process.stderr.write(`The floor is ready at ${await app.getUrl()}\n`);

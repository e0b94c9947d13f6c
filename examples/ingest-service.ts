import { Body, Catch, Controller, Get, Headers, Inject, Module, Param, Post, type ArgumentsHost } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { LetheError } from 'lethe';
import { InjectLethe, InjectLetheHealth, LetheModule, type Lethe, type LetheHealthIndicator } from 'lethe/nest';
import { z } from 'zod';

/*
 * A microservice that takes sensors' readings and keeps each batch as a file in Lethe. Lethe's address is LETHE_URL, its own port is PORT.
 *
 *   curl -H 'Content-Type: application/json' -H 'Idempotency-Key: batch-7' -d '[{"at": "2026-11-25T15:00:00Z", "value": 21.5}]' \
 *     http://127.0.0.1:3000/readings/lab-3
 */

const readings = z.array(z.object({ at: z.iso.datetime(), value: z.number() })).min(1);

@Controller('readings')
class ReadingsController {
  constructor(@InjectLethe() private readonly lethe: Lethe) {}

  /** The caller's own key goes on to Lethe: a batch that is sent twice, whoever lost the answer, is one file. */
  @Post(':sensor')
  async add(@Param('sensor') sensor: string, @Body() body: unknown, @Headers('idempotency-key') key?: string) {
    const rows = readings.parse(body).map(({ at, value }) => `${at},${value}`);
    const { uid, outcome } = await this.lethe.files.add(new TextEncoder().encode(`at,value\n${rows.join('\n')}\n`), {
      key: `readings/${sensor}.csv`,
      idempotencyKey: key,
    });
    return { uid, outcome };
  }
}

@Controller('health')
class HealthController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @InjectLetheHealth() private readonly lethe: LetheHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.lethe.pingCheck('lethe')]);
  }
}

/** What Lethe refuses is refused here in its own words; where it does not answer, that is our 503. */
@Catch(LetheError)
class LetheErrors {
  catch({ problem, status }: LetheError, host: ArgumentsHost): void {
    const code = status === 0 ? 503 : status;
    const reply = host.switchToHttp().getResponse<Reply>();
    reply
      .code(code)
      .type('application/problem+json')
      .send({ ...problem, status: code });
  }
}

@Catch(z.ZodError)
class BadReadings {
  catch(error: z.ZodError, host: ArgumentsHost): void {
    host
      .switchToHttp()
      .getResponse<Reply>()
      .code(422)
      .send({ message: z.prettifyError(error) });
  }
}

interface Reply {
  code(status: number): this;
  type(media: string): this;
  send(body: object): void;
}

@Module({
  imports: [
    TerminusModule,
    LetheModule.forRootAsync({
      useFactory: () => ({ url: process.env['LETHE_URL'] ?? 'http://127.0.0.1:4270', actor: 'svc:ingest' }),
    }),
  ],
  controllers: [ReadingsController, HealthController],
})
class IngestService {}

const service = await NestFactory.create<NestFastifyApplication>(IngestService, new FastifyAdapter());
service.enableShutdownHooks();
service.useGlobalFilters(new LetheErrors(), new BadReadings());
await service.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1');
console.log(`Ingest listens at ${await service.getUrl()}`);

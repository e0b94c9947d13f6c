import { rm } from 'node:fs/promises';
import { Inject, Injectable, Module, type OnModuleDestroy } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Controller, Get } from '@nestjs/common';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../../src/client/connect.js';
import {
  getLetheHealthToken,
  getLetheToken,
  InjectLethe,
  InjectLetheHealth,
  Lethe,
  LetheHealthIndicator,
  LetheModule,
  type LetheModuleOptions,
  type LetheOptionsFactory,
} from '../../src/nest/nest.js';
import { discard, startService, temporaryFolder, type RunningService } from '../harness/service.js';

let service: RunningService;

beforeAll(async () => {
  service = await startService();
});
afterAll(() => discard(service));

/** A real application of these modules, without a port. */
const applicationOf = (...imports: NonNullable<Parameters<typeof Module>[0]['imports']>) => {
  @Module({ imports })
  class Application {}
  return NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
};

@Injectable()
class Ingest {
  constructor(@InjectLethe() readonly lethe: Lethe) {}
}

@Module({ providers: [Ingest] })
class IngestModule {}

describe('forRoot', () => {
  it('provides a client of a service, as the class Lethe', async () => {
    @Module({ imports: [LetheModule.forRoot({ url: service.url, actor: 'ingest' })], providers: [Ingest] })
    class Application {}
    const application = await NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
    const { lethe } = application.get(Ingest);
    const file = await lethe.files.add(new TextEncoder().encode('by Nest'), { key: 'nest.txt' });
    expect(file).toMatchObject({ outcome: 'created', createdBy: 'ingest' });
    expect(application.get(Lethe)).toBe(lethe);
    await application.close();
  });

  it('opens a folder in this process, and gives it back at the end', async () => {
    const data = await temporaryFolder();
    const application = await applicationOf(LetheModule.forRoot({ data, actor: 'ingest' }));
    await application.get(Lethe).labels.add({ name: 'rna' });
    await expect(connect({ data })).rejects.toThrow(/is in use by process/);
    await application.close();
    await using again = await connect({ data });
    expect(await again.labels.filter().first()).toMatchObject({ name: 'rna' });
    await again.close();
    await rm(data, { recursive: true });
  });

  it('provides to every module where it is global, and to those that import it where not', async () => {
    const application = await applicationOf(LetheModule.forRoot({ url: service.url, isGlobal: true }), IngestModule);
    expect(application.get(Ingest, { strict: false }).lethe).toBe(application.get(Lethe));
    await application.close();
    await expect(applicationOf(LetheModule.forRoot({ url: service.url }), IngestModule)).rejects.toThrow(
      /can't resolve dependencies of the Ingest/,
    );
  });

  it('sets several clients apart by their names', async () => {
    const data = await temporaryFolder();
    @Injectable()
    class Mirror {
      constructor(
        @InjectLethe() readonly main: Lethe,
        @InjectLethe('lab') readonly lab: Lethe,
        @InjectLetheHealth('lab') readonly health: LetheHealthIndicator,
      ) {}
    }
    @Module({
      imports: [LetheModule.forRoot({ url: service.url }), LetheModule.forRoot({ data, name: 'lab' })],
      providers: [Mirror],
    })
    class Application {}
    const application = await NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
    const { main, lab, health } = application.get(Mirror);
    await lab.labels.add({ name: 'only in the lab' });
    expect(await lab.labels.filter().count()).toBe(1);
    expect(await main.labels.filter({ name: 'only in the lab' }).count()).toBe(0);
    expect(application.get(getLetheToken('lab'))).toBe(lab);
    expect(application.get(getLetheHealthToken('lab'))).toBe(health);
    expect(await health.pingCheck('lab')).toEqual({ lab: { status: 'up' } });
    await application.close();
    await rm(data, { recursive: true });
  });

  it('does not start where nobody answers, and says who', async () => {
    await expect(applicationOf(LetheModule.forRoot({ url: 'http://127.0.0.1:9' }))).rejects.toThrow(
      'http://127.0.0.1:9 does not answer',
    );
  });
});

describe('forRootAsync', () => {
  const ADDRESS = Symbol('address');

  @Module({ providers: [{ provide: ADDRESS, useFactory: () => service.url }], exports: [ADDRESS] })
  class Settings {}

  @Injectable()
  class Options implements LetheOptionsFactory {
    constructor(@Inject(ADDRESS) readonly url: string) {}
    async createLetheOptions(): Promise<LetheModuleOptions> {
      return { url: this.url, actor: 'options' };
    }
  }

  @Module({ imports: [Settings], providers: [Options], exports: [Options] })
  class OptionsModule {}

  it.each([
    [
      'useFactory',
      () =>
        LetheModule.forRootAsync({
          imports: [Settings],
          inject: [ADDRESS],
          useFactory: async (url: string) => ({ url, actor: 'options' }),
        }),
    ],
    ['useClass', () => LetheModule.forRootAsync({ imports: [Settings], useClass: Options })],
    ['useExisting', () => LetheModule.forRootAsync({ imports: [OptionsModule], useExisting: Options })],
  ])('takes options by %s', async (_, module) => {
    const application = await applicationOf(module());
    const label = await application.get(Lethe).labels.add({ name: 'async' });
    const [created] = await label.history().all();
    expect(created).toMatchObject({ actor: 'options' });
    await application.close();
  });

  it('takes a name, and can be global', async () => {
    const useFactory = () => ({ url: service.url });
    const application = await applicationOf(
      LetheModule.forRootAsync({ useFactory, isGlobal: true }),
      LetheModule.forRootAsync({ useFactory, name: 'lab' }),
      IngestModule,
    );
    const main = application.get(Ingest, { strict: false }).lethe;
    const lab = application.get<Lethe>(getLetheToken('lab'));
    expect(lab).not.toBe(main);
    expect(await lab.files.filter({ key: 'never' }).count()).toBe(0);
    await application.close();
  });
});

describe('the end of the application', () => {
  it('closes the client last: what the application does while it ends can still use it', async () => {
    let flushed = '';
    @Injectable()
    class Flushing implements OnModuleDestroy {
      constructor(@InjectLethe() readonly lethe: Lethe) {}
      async onModuleDestroy(): Promise<void> {
        flushed = (await this.lethe.labels.add({ name: 'flushed' })).uid;
      }
    }
    @Module({ imports: [LetheModule.forRoot({ url: service.url })], providers: [Flushing] })
    class Application {}
    const application = await NestFactory.createApplicationContext(Application, { logger: false, abortOnError: false });
    const lethe = application.get(Lethe);
    await application.close();
    await expect(lethe.files.filter().first()).rejects.toThrow(/was closed/);
    await using other = await connect(service.url);
    expect(await other.labels.get(flushed)).toMatchObject({ name: 'flushed' });
  });
});

describe('the health indicator', () => {
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

  it('goes up and down with the service, in the words of Terminus', async () => {
    const own = await startService();
    @Module({
      imports: [TerminusModule.forRoot({ logger: false }), LetheModule.forRoot({ url: own.url })],
      controllers: [HealthController],
    })
    class Application {}
    const application = await NestFactory.create<NestFastifyApplication>(Application, new FastifyAdapter(), {
      logger: false,
      abortOnError: false,
    });
    await application.init();
    const up = await application.inject('/health');
    expect(up.statusCode).toBe(200);
    expect(up.json()).toMatchObject({ status: 'ok', info: { lethe: { status: 'up' } } });

    await own.kill();
    const down = await application.inject('/health');
    expect(down.statusCode).toBe(503);
    const message: unknown = expect.stringContaining(`${own.url} does not answer`);
    expect(down.json()).toMatchObject({ status: 'error', error: { lethe: { status: 'down', message } } });
    await application.close();
    await discard(own);
  });

  const answering = (answer: (request: Request) => Promise<Response>): LetheHealthIndicator =>
    new LetheHealthIndicator(
      new Lethe(
        { url: 'http://localhost', fetch: answer },
        { streams: true, open: () => Promise.reject(new Error('no files here')) },
        async () => undefined,
      ),
    );

  it('names what keeps the service from its work, and asks once', async () => {
    let asked = 0;
    const notReady = { readModel: 'does not answer within 2 s' };
    const health = answering(async () => {
      asked += 1;
      return Response.json({ status: 'not-ready', notReady }, { status: 503 });
    });
    expect(await health.pingCheck('lab')).toEqual({
      lab: { status: 'down', message: 'not ready: readModel', notReady },
    });
    expect(asked).toBe(1);
  });

  it('does not wait for ever, and is not taken in by somebody else', async () => {
    const hanging = answering(
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late')))),
    );
    expect(await hanging.pingCheck('lethe', { timeout: 20 })).toEqual({
      lethe: { status: 'down', message: 'no answer within 20 ms' },
    });
    const proxy = answering(async () => new Response('<h1>Welcome</h1>'));
    expect(await proxy.pingCheck('lethe')).toEqual({
      lethe: {
        status: 'down',
        message: 'http://localhost answered with 200, and not as Lethe does. Is it one?',
      },
    });
  });
});

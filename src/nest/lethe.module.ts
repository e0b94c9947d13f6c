import {
  ConfigurableModuleBuilder,
  Module,
  type ConfigurableModuleAsyncOptions,
  type DynamicModule,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import { connect, type Address, type Folder } from '../client/connect.js';
import type { Lethe } from '../client/lethe.js';
import { LetheHealthIndicator } from './health.js';
import { getLetheHealthToken, getLetheToken } from './tokens.js';

/** As `connect` takes it: a service's `{ url, apiKey, actor }`, or `{ data }` for one in this process, on a folder. */
export type LetheModuleOptions = Address | Folder;

/** What `useClass` and `useExisting` name. */
export interface LetheOptionsFactory {
  createLetheOptions(): LetheModuleOptions | Promise<LetheModuleOptions>;
}

/** How the client stands in the application. */
export interface Registering {
  /** Sets several clients apart; without one, the client is provided as the class `Lethe`. */
  readonly name: string | undefined;
  /** True: every module can inject it. */
  readonly isGlobal: boolean;
}

const ALONE: Registering = { name: undefined, isGlobal: false };

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<LetheModuleOptions>({
  moduleName: 'Lethe',
})
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createLetheOptions')
  .setExtras(ALONE, (definition, { name, isGlobal }) => ({
    ...definition,
    global: isGlobal,
    providers: [...(definition.providers ?? []), ...providersOf(name)],
    exports: [getLetheToken(name), getLetheHealthToken(name)],
  }))
  .build();

export type LetheModuleAsyncOptions = ConfigurableModuleAsyncOptions<LetheModuleOptions, 'createLetheOptions'> &
  Partial<Registering>;

/** Provides a client, and its health indicator. */
@Module({})
export class LetheModule extends ConfigurableModuleClass {
  /**
   * The application starts once the service has answered, and not at all where it does not, or not to this caller. The client is closed after
   * the application has stopped to listen, so that hooks before that can use it.
   */
  static override forRoot(options: LetheModuleOptions & Partial<Registering>): DynamicModule {
    return super.forRoot(options);
  }

  /** As `forRoot`, with options that are made in the application: by `useFactory` with `inject` and `imports`, `useClass` or `useExisting`. */
  static override forRootAsync(options: LetheModuleAsyncOptions): DynamicModule {
    return super.forRootAsync(options);
  }
}

/** Nest calls the hooks of what it provides, and the client has none. */
class Closing implements OnApplicationShutdown {
  constructor(private readonly lethe: Lethe) {}

  onApplicationShutdown(): Promise<void> {
    return this.lethe.close();
  }
}

const providersOf = (name: string | undefined): Provider[] => {
  const client = getLetheToken(name);
  return [
    { provide: client, useFactory: connect, inject: [MODULE_OPTIONS_TOKEN] },
    {
      provide: getLetheHealthToken(name),
      useFactory: (lethe: Lethe) => new LetheHealthIndicator(lethe),
      inject: [client],
    },
    { provide: Closing, useFactory: (lethe: Lethe) => new Closing(lethe), inject: [client] },
  ];
};

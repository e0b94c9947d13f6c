/*
 * `import … from 'lethe/nest'`: the SDK in a Nest application.
 */

export { Lethe } from '../client/lethe.js';
export { LetheHealthIndicator, type LetheHealth, type Pinging } from './health.js';
export { LetheModule, type LetheModuleOptions, type LetheOptionsFactory, type Registering } from './lethe.module.js';
export type { LetheModuleAsyncOptions } from './lethe.module.js';
export { getLetheHealthToken, getLetheToken, InjectLethe, InjectLetheHealth } from './tokens.js';

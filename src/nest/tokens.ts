import { Inject, type InjectionToken } from '@nestjs/common';
import { Lethe } from '../client/lethe.js';
import { LetheHealthIndicator } from './health.js';

/** What a client is provided as: the class itself, or a token of its own where it has a name. */
export const getLetheToken = (name?: string): InjectionToken<Lethe> => (name === undefined ? Lethe : `lethe:${name}`);

/** What the health indicator of a client is provided as. */
export const getLetheHealthToken = (name?: string): InjectionToken<LetheHealthIndicator> =>
  name === undefined ? LetheHealthIndicator : `lethe-health:${name}`;

/** Injects a client: `constructor(@InjectLethe() private readonly lethe: Lethe)`. @param name as in `forRoot({ name })` */
export const InjectLethe = (name?: string): ParameterDecorator & PropertyDecorator => Inject(getLetheToken(name));

/** Injects the health indicator of a client. @param name as in `forRoot({ name })` */
export const InjectLetheHealth = (name?: string): ParameterDecorator & PropertyDecorator =>
  Inject(getLetheHealthToken(name));

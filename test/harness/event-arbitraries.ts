import fc, { type Arbitrary } from 'fast-check';
import { z } from 'zod';
import {
  EVENTS,
  type EventOf,
  type EventType,
  type LetheEvent,
  type Metadata,
  metadataSchema,
} from '../../src/events/events.js';

/*
 * Any event that a disk could hold, made from the schemas themselves: an event type or a field that is added is in every property at once.
 */

/** What `z.toJSONSchema` makes of the schemas of events. */
export interface Shape {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | Shape;
  readonly items?: Shape;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
}

export const shapeOf = (schema: z.ZodType): Shape => z.toJSONSchema(schema) as Shape;

/** Values that meet the schema. `name` says in an error what has none. */
const valueOf = (shape: Shape, name: string): Arbitrary<unknown> => {
  if (shape.const !== undefined) return fc.constant(shape.const);
  if (shape.enum !== undefined) return fc.constantFrom(...shape.enum);
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => valueOf(choice, name)));
  // Nothing refers to another schema but what may be any JSON.
  if (shape.$ref !== undefined) return jsonValue;
  const { type } = shape;
  if (typeof type === 'object') return fc.oneof(...type.map((each) => valueOf({ ...shape, type: each }, name)));
  switch (type) {
    case 'object':
      return objectOf(shape);
    case 'array':
      return fc.array(valueOf(shape.items ?? {}, name), { maxLength: 3 });
    case 'string':
      return textOf(shape);
    case 'integer':
      return fc.oneof(
        fc.integer({ min: shape.exclusiveMinimum === undefined ? 0 : 1, max: 8 }),
        fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
      );
    case 'number':
      return fc.double({ noNaN: true, noDefaultInfinity: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    default:
      throw new Error(`no values are known for ${name}: ${JSON.stringify(shape)}`);
  }
};

const objectOf = ({ properties, additionalProperties }: Shape): Arbitrary<unknown> => {
  if (properties !== undefined) {
    return fc.record(
      Object.fromEntries(Object.entries(properties).map(([name, shape]) => [name, valueOf(shape, name)])),
      { noNullPrototype: true },
    );
  }
  const value = typeof additionalProperties === 'object' ? valueOf(additionalProperties, 'member') : jsonValue;
  return fc.dictionary(memberName, value, { maxKeys: 4, noNullPrototype: true });
};

/** Names of fields that mean something to a record, and any other. `__proto__` cannot be a member's name: the schemas drop it. */
const memberName = fc.oneof(
  fc.constantFrom('visibility', 'description', 'labels', 'files', 'key', 'data', 'kind', 'initialVersion'),
  fc.string({ maxLength: 8 }).filter((name) => name !== '__proto__'),
);

const jsonValue = fc
  .jsonValue({ maxDepth: 2 })
  .map((value): unknown => JSON.parse(JSON.stringify(value)))
  .filter((value) => !JSON.stringify(value).includes('__proto__'));

const textOf = ({ pattern, format }: Shape): Arbitrary<string> => {
  if (format === 'uuid') return fc.uuid();
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern));
  return fc.string({ unit: 'grapheme', maxLength: 12 });
};

export const TYPES = Object.keys(EVENTS) as EventType[];

/** Any event of one type. */
const anEvent = <T extends EventType>(type: T): Arbitrary<EventOf<T>> =>
  valueOf(shapeOf(EVENTS[type].schema), type) as Arbitrary<EventOf<T>>;

/** Any event at all, of any of these types. */
export const anyEvent = (types: readonly EventType[] = TYPES): Arbitrary<LetheEvent> =>
  fc.oneof(...types.map((type) => anEvent(type)));

export const anyMetadata: Arbitrary<Metadata> = (
  valueOf(shapeOf(metadataSchema), 'metadata') as Arbitrary<Metadata>
).map((meta) => ({ ...meta, version: 1 }));

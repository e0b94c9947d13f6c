import { shapeOf, type Shape } from '../harness/event-arbitraries.js';
import type { z } from 'zod';

/*
 * From a schema of a request's body, every way in which each of its fields can be wrong. A field that is added there is in the tests at
 * once, and one that is loosened here and there is noticed.
 */

/** What a schema says beyond what events need. */
interface BodyShape extends Shape {
  readonly properties?: Readonly<Record<string, BodyShape>>;
  readonly anyOf?: readonly BodyShape[];
  readonly items?: BodyShape;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
}

export interface WrongBody {
  readonly name: string;
  readonly body: unknown;
  /** Where the fault is; ends in `…` where it may be deeper. */
  readonly path: string;
}

const UID = 'N0suchRecord00000000';
const uid = (index: number): string => `N0such${String(index).padStart(14, '0')}`;

const SAMPLES: Readonly<Record<string, unknown>> = {
  null: null,
  boolean: true,
  number: 7.5,
  string: 'nonsense',
  array: [],
  object: {},
};

/** @param right a body that is taken, with what is needed and nothing else. @returns bodies that differ from it in one place */
export const wrongBodies = (schema: z.ZodType, right: Readonly<Record<string, unknown>>): WrongBody[] =>
  wrongObjects(shapeOf(schema), right, '');

const wrongObjects = (shape: BodyShape, right: Readonly<Record<string, unknown>>, at: string): WrongBody[] => {
  const found: WrongBody[] = ['nonsense', 'Description', 'constructor', 'toString', 'a/b~c', ''].map((field) => ({
    name: `an unknown field ${at}/${field}`,
    body: { ...right, [field]: 1 },
    path: `${at}/${field.replaceAll('~', '~0').replaceAll('/', '~1')}`,
  }));
  for (const [field, of] of Object.entries(shape.properties ?? {})) {
    const path = `${at}/${field}`;
    if (Object.hasOwn(right, field)) {
      const { [field]: _, ...rest } = right;
      found.push({ name: `${path} missing`, body: rest, path });
    }
    for (const { what, value, inside } of wrongValues(of)) {
      found.push({ name: `${path} ${what}`, body: { ...right, [field]: value }, path: inside ? `${path}/…` : path });
    }
    const inner = right[field];
    if (of.properties !== undefined && typeof inner === 'object' && inner !== null) {
      for (const wrong of wrongObjects(of, { ...inner }, path)) {
        found.push({ ...wrong, body: { ...right, [field]: wrong.body } });
      }
    }
  }
  return found;
};

interface WrongValue {
  readonly what: string;
  readonly value: unknown;
  /** The fault is within the value. */
  readonly inside?: boolean;
}

const wrongValues = (shape: BodyShape): WrongValue[] => {
  const choices = choicesOf(shape);
  // What may be any JSON has its own tests.
  if (choices.some(isAny)) return [];
  const types = new Set(choices.map(typeOf));
  const found: WrongValue[] = Object.entries(SAMPLES)
    .filter(([type]) => !types.has(type))
    .map(([type, value]) => ({ what: `as ${type}`, value }));
  if (types.has('string')) {
    found.push({ what: 'with half a surrogate', value: '\ud800' }, { what: 'with NUL', value: 'a\0b' });
    found.push({ what: 'empty', value: '' });
  }
  for (const choice of choices) found.push(...outOfBounds(choice, choices));
  return [...new Map(found.map((wrong) => [wrong.what, wrong])).values()];
};

const outOfBounds = (choice: BodyShape, choices: readonly BodyShape[]): WrongValue[] => {
  if (choice.const !== undefined || choice.enum !== undefined) {
    const taken = choices.flatMap((each) => each.enum ?? [each.const]);
    return [-1, 2, 'nonsense']
      .filter((value) => !taken.includes(value) && typeof value === typeOf(choice))
      .map((value) => ({ what: `${JSON.stringify(value)}, another value`, value }));
  }
  if (typeOf(choice) === 'string') return wrongTexts(choice);
  if (typeOf(choice) === 'array') return wrongArrays(choice);
  return [];
};

const wrongTexts = ({ maxLength, pattern }: BodyShape): WrongValue[] => {
  if (pattern !== undefined) {
    const wrong = [{ what: 'of another form', value: 'not this one!' }];
    return new RegExp(pattern).test(UID) ? [...wrong, { what: 'that does not exist', value: UID }] : wrong;
  }
  if (maxLength === undefined) throw new Error('a text has no greatest length');
  return [{ what: `of ${maxLength + 1} characters`, value: 'x'.repeat(maxLength + 1) }];
};

const wrongArrays = ({ maxItems }: BodyShape): WrongValue[] => {
  if (maxItems === undefined) throw new Error('an array has no greatest length');
  return [
    { what: `of ${maxItems + 1}`, value: Array.from({ length: maxItems + 1 }, (_, index) => uid(index)) },
    { what: 'with the same twice', value: [UID, UID] },
    { what: 'with a number in it', value: [7], inside: true },
    { what: 'with null in it', value: [null], inside: true },
    { what: 'with what is no uid', value: ['short'], inside: true },
    { what: 'with what does not exist', value: [UID], inside: true },
  ];
};

const choicesOf = (shape: BodyShape): readonly BodyShape[] =>
  shape.anyOf === undefined ? [shape] : shape.anyOf.flatMap(choicesOf);

const isAny = ({ $ref, type, const: only, enum: several }: BodyShape): boolean =>
  $ref !== undefined || (type === undefined && only === undefined && several === undefined);

const typeOf = (shape: BodyShape): string => {
  const { type } = shape;
  if (type === 'integer') return 'number';
  if (typeof type === 'string') return type;
  return typeof (shape.const ?? shape.enum?.[0]);
};

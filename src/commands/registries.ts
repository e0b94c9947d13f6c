import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import {
  BUILT_IN_PLAIN,
  isTrashable,
  registryNameSchema,
  RESERVED_NAMES,
  TRASHABLE,
  type Json,
} from '../events/vocabulary.js';
import { Misconfigured } from './misconfigured.js';
import type { Fault } from './refusals.js';

export type RegistryKind = 'trashable' | 'plain';
type JsonSchema = { readonly [name: string]: Json };

/** The registries of this service: the built-in ones, and plain ones from the configuration, each with its JSON Schema if it has one. */
export class Registries {
  private readonly schemas = new Map<string, { schema: JsonSchema; validate: ValidateFunction }>();
  readonly names: readonly string[];

  /** @throws Misconfigured naming the registry, for a name that is taken or malformed, or a schema that is none */
  constructor(configured: Readonly<Record<string, { schema?: JsonSchema | undefined }>>) {
    const ajv = new Ajv2020({ allErrors: true, strict: false, logger: false });
    for (const [name, { schema }] of Object.entries(configured)) {
      if (!registryNameSchema.safeParse(name).success)
        throw new Misconfigured(`registries.${name}: a name must match [a-z][a-z0-9_]{0,39}`);
      if (RESERVED_NAMES.has(name) || isTrashable(name) || BUILT_IN_PLAIN.includes(name))
        throw new Misconfigured(`registries.${name}: this name is taken`);
      if (schema === undefined) continue;
      try {
        this.schemas.set(name, { schema, validate: ajv.compile(schema) });
      } catch (cause) {
        throw new Misconfigured(
          `registries.${name}.schema is not a JSON Schema: ${cause instanceof Error ? cause.message : String(cause)}`,
          { cause },
        );
      }
    }
    this.names = [...TRASHABLE, ...BUILT_IN_PLAIN, ...Object.keys(configured)];
  }

  kindOf(name: string): RegistryKind | null {
    if (isTrashable(name)) return 'trashable';
    return this.names.includes(name) ? 'plain' : null;
  }

  schemaOf(name: string): JsonSchema | null {
    return this.schemas.get(name)?.schema ?? null;
  }

  /** What is wrong with a plain record's `data`; empty where it meets its registry's schema. */
  faultsOf(name: string, data: Json): Fault[] {
    const validate = this.schemas.get(name)?.validate;
    if (validate === undefined || validate(data)) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => ({
      path: `/data${instancePath}`,
      message: message ?? 'does not meet the schema of its registry',
    }));
  }
}

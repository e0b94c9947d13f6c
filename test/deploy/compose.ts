import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

/** Where the files lie that Lethe is deployed with. */
export const ROOT = join(import.meta.dirname, '..', '..');

export const textOf = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

const buildSchema = z
  .union([
    z.string().transform((context) => ({ context, dockerfile: 'Dockerfile' })),
    z.strictObject({ context: z.string(), dockerfile: z.string().default('Dockerfile') }),
  ])
  .transform(({ context, dockerfile }) => join(context, dockerfile));

/** Strict: a key that is not known here is one that nothing here looks at. */
const serviceSchema = z.strictObject({
  image: z.string(),
  /** The Dockerfile's path. */
  build: buildSchema.optional(),
  user: z.string().optional(),
  command: z.array(z.string()).optional(),
  scale: z.int().default(1),
  init: z.boolean().default(false),
  restart: z.string().optional(),
  stop_grace_period: z.string().optional(),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  logging: z.object({ driver: z.string(), options: z.record(z.string(), z.string()) }).optional(),
  environment: z.record(z.string(), z.string()).default({}),
  secrets: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  tmpfs: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  networks: z.array(z.string()),
  depends_on: z.record(z.string(), z.strictObject({ condition: z.string() })).default({}),
  healthcheck: z.object({ test: z.array(z.string()).optional(), disable: z.boolean().default(false) }).optional(),
});

const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  networks: z.record(z.string(), z.object({ internal: z.boolean().default(false) }).nullable()),
  volumes: z.record(z.string(), z.null()),
  secrets: z.record(z.string(), z.strictObject({ file: z.string() })),
});

export type Compose = z.infer<typeof composeSchema>;
export type Service = z.infer<typeof serviceSchema>;

export const readCompose = (): Compose => composeSchema.parse(parse(textOf('docker-compose.yml'), { merge: true }));

export interface Instruction {
  readonly name: string;
  readonly rest: string;
}

/** A Dockerfile's instructions, without comments, each on one line. */
export const readDockerfile = (path: string): Instruction[] =>
  textOf(path)
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...rest] = line.split(' ');
      return { name, rest: rest.join(' ').trim() };
    });

/** The instructions of the stage that the image is. */
export const lastStage = (instructions: readonly Instruction[]): Instruction[] =>
  instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));

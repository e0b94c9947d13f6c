import type { Ref } from './answers.js';
import { invalid, UnexpectedData } from './errors.js';

/*
 * Schemas of `data`, by the interface that zod, valibot, arktype and others share (https://standardschema.dev): the SDK depends on none of them.
 */

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}
type Result<Output> = { readonly value: Output; readonly issues?: undefined } | { readonly issues: readonly Issue[] };

/** A schema such as zod's. What it puts out is what records have as `data`; what it takes is what is sent. */
export interface DataSchema<Output, Input = Output> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Result<Output> | Promise<Result<Output>>;
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

/** `data` as it was read. @throws UnexpectedData */
export const readData = async <T>(schema: DataSchema<T, unknown>, data: unknown, ref: Ref): Promise<T> => {
  const result = await schema['~standard'].validate(data);
  if (result.issues === undefined) return result.value;
  throw new UnexpectedData(ref, result.issues.map(messageOf));
};

/** Looks at `data` before it is sent. @throws Invalid, with the paths that the service would name */
export const checkData = async (schema: DataSchema<unknown, unknown>, data: unknown): Promise<void> => {
  const { issues } = await schema['~standard'].validate(data);
  if (issues === undefined) return;
  throw invalid(issues.map((issue) => ({ path: `/data${pointerOf(issue)}`, message: messageOf(issue) })));
};

const keysOf = ({ path = [] }: Issue): string[] =>
  path.map((part) => String(typeof part === 'object' ? part.key : part));
const pointerOf = (issue: Issue): string =>
  keysOf(issue)
    .map((key) => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
    .join('');
const messageOf = (issue: Issue): string => {
  const keys = keysOf(issue);
  return keys.length === 0 ? issue.message : `${keys.join('.')}: ${issue.message}`;
};

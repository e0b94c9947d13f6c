import type { Argument, Command, Option } from 'commander';
import { REGISTRIES } from './text.js';

/* What can be typed where, read from the verbs themselves: a new verb or option is completed without another line. */

/** Words of ours, names in the file system, or something that nobody can guess. */
export type Values = readonly string[] | 'files' | 'folders' | null;

export interface Flag {
  /** With their dashes. */
  readonly names: readonly string[];
  readonly about: string;
  readonly takesValue: boolean;
  readonly values: Values;
}

/** Where a command line stands: after `lethe`, after `lethe trash`, after `lethe trash ls`. */
export interface Level {
  /** The verbs so far, divided by spaces; empty after `lethe` alone. */
  readonly path: string;
  readonly name: string;
  readonly about: string;
  readonly levels: readonly Level[];
  readonly flags: readonly Flag[];
  /** One for each operand; the last goes on where it may be repeated. */
  readonly operands: readonly Values[];
  readonly repeatsLast: boolean;
}

export const levelOf = (command: Command, path = '', inherited: readonly Flag[] = []): Level => {
  const help = command.createHelp();
  const own = help.visibleOptions(command).map(flagOf);
  const flags = [...own, ...inherited.filter(({ names }) => !own.some((flag) => flag.names.at(-1) === names.at(-1)))];
  const passedOn = path === '' ? own.filter(({ names }) => !names.includes('--version')) : inherited;
  const below = (name: string): string => (path === '' ? name : `${path} ${name}`);
  return {
    path,
    name: command.name(),
    about: command.summary() || command.description(),
    levels: command.commands.map((verb) => levelOf(verb, below(verb.name()), passedOn)),
    flags,
    operands: command.registeredArguments.map(operandOf),
    repeatsLast: command.registeredArguments.at(-1)?.variadic ?? false,
  };
};

/** A level and all below it. */
export const allLevels = (level: Level): Level[] => [level, ...level.levels.flatMap(allLevels)];

const flagOf = ({ short, long, description, required, optional, flags, argChoices }: Option): Flag => ({
  names: [short, long].filter((name) => name !== undefined),
  about: description,
  takesValue: required || optional,
  values: argChoices ?? valuesNamed(/[<[]([^>\]]+)[>\]]$/.exec(flags)?.[1] ?? ''),
});

const operandOf = (argument: Argument): Values => argument.argChoices ?? valuesNamed(argument.name());

/** What stands in angle brackets says what it takes. */
const valuesNamed = (name: string): Values => {
  if (name === 'registry') return REGISTRIES;
  if (name === 'folder' || name === 'dir') return 'folders';
  return /^(path|file)$|\.(nd)?json$/.test(name) ? 'files' : null;
};

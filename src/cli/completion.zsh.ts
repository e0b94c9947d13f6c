import { allLevels, type Flag, type Level, type Values } from './completion.js';

/** The completion of zsh, as functions on its own `_arguments`: one for each level. */
export const zshScript = (program: Level): string => `#compdef ${program.name}
# ${program.name} in zsh. In ~/.zshrc, after compinit: eval "$(${program.name} completion zsh)"
${allLevels(program)
  .map((level) => levelFunction(program.name, level))
  .join('\n')}
compdef _${program.name} ${program.name}
`;

const levelFunction = (program: string, { path, flags, levels, operands, repeatsLast }: Level): string => {
  const name = functionName(program, path);
  const options = flags.flatMap(flagSpecs);
  if (levels.length === 0) {
    const takes = operands.map((values, index) => {
      const position = repeatsLast && index === operands.length - 1 ? '*' : String(index + 1);
      return quoted(`${position}: :${action(values)}`);
    });
    return `${name}() {\n  _arguments ${[...options, ...takes].join(lineBreak)}\n}`;
  }
  return `${name}() {
  local context state state_descr line
  typeset -A opt_args
  local -a verbs=(
${levels.map((level) => `    ${quoted(`${level.name}:${level.about}`)}`).join('\n')}
  )
  _arguments -C -A '-*' ${[...options, quoted('1: :->verb'), quoted('*:: :->rest')].join(lineBreak)}
  case "$state $line[1]" in
    verb*) _describe verb verbs ;;
${levels.map((level) => `    'rest ${level.name}') ${functionName(program, level.path)} ;;`).join('\n')}
  esac
}`;
};

const lineBreak = ' \\\n    ';

const functionName = (program: string, path: string): string =>
  ['', program, ...path.split(' ').filter((word) => word !== '')].join('_');

const flagSpecs = ({ names, about, takesValue, values }: Flag): string[] =>
  names.map((name) => quoted(`*${name}[${described(about)}]${takesValue ? `: :${action(values)}` : ''}`));

const action = (values: Values): string => {
  if (values === 'files') return '_files';
  if (values === 'folders') return '_files -/';
  return values === null ? '( )' : `(${values.join(' ')})`;
};

/** Brackets have a meaning of their own in a description. */
const described = (text: string): string => text.replaceAll(/[\\[\]]/g, (char) => `\\${char}`);

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

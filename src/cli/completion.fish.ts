import { allLevels, type Flag, type Level, type Values } from './completion.js';

/** The completion of fish: a function that knows where the command line stands, and a line for each word that it takes there. */
export const fishScript = (program: Level): string => {
  const levels = allLevels(program);
  const { name } = program;
  const valued = levels.flatMap(({ path, flags }) =>
    flags.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names.map((flag) => `${path}|${flag}`)),
  );
  const verbs = levels.flatMap(({ path, levels: below }) => below.map((verb) => [`${path}|${verb.name}`, verb.path]));
  return `# ${name} in fish: ${name} completion fish > ~/.config/fish/completions/${name}.fish
function __${name}_at
    set -l verb ''
    set -l operand 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$verb|$word"
            case ${valued.map(quoted).join(' ')}
                set skip 1
${verbs.map(([line = '', path = '']) => `            case ${quoted(line)}\n                set verb ${quoted(path)}`).join('\n')}
            case '*|-*'
            case '*'
                set operand (math $operand + 1)
        end
    end
    contains -- "$verb|$operand" $argv
    or contains -- "$verb|" $argv
end
complete -c ${name} -f
${levels.flatMap((level) => linesOf(name, level)).join('\n')}
`;
};

const linesOf = (program: string, { path, flags, levels, operands, repeatsLast }: Level): string[] => {
  const line = (where: string, what: string): string =>
    `complete -c ${program} -n ${quoted(`__${program}_at ${quoted(where)}`)} ${what}`;
  return [
    ...flags.map((flag) => line(`${path}|`, flagText(flag))),
    ...levels.map(({ name, about }) => line(`${path}|0`, `-a ${name} -d ${quoted(about)}`)),
    ...operands.flatMap((values, index) => {
      if (values === null || levels.length > 0) return [];
      const last = repeatsLast && index === operands.length - 1;
      return [line(last ? `${path}|` : `${path}|${index}`, completes(values))];
    }),
  ];
};

const flagText = ({ names, about, takesValue, values }: Flag): string => {
  const words = names.map((name) => (name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`));
  const value = takesValue ? ` ${values === null ? '-x' : `-r ${completes(values)}`}` : '';
  return `${words.join(' ')}${value} -d ${quoted(about)}`;
};

const completes = (values: Values): string => {
  if (values === 'files') return '-F';
  if (values === null) return '';
  return `-f -a ${quoted(values === 'folders' ? '(__fish_complete_directories)' : values.join(' '))}`;
};

const quoted = (text: string): string => `'${text.replaceAll(/[\\']/g, (char) => `\\${char}`)}'`;

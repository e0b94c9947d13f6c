import { allLevels, type Level, type Values } from './completion.js';

/**
 * The completion of bash, 3.2 and later, whole in the shell: no process is started, and nothing that is typed is evaluated. Bash takes
 * words apart at `=` and `:`, so what follows one of those belongs to the word before it.
 */
export const bashScript = (program: Level): string => {
  const levels = allLevels(program);
  const name = program.name;
  return `# ${name} in bash. In ~/.bashrc: eval "$(${name} completion bash)"
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} verb='' flag='' operand=0 words='' word i
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $flag ]]; then
      [[ $word == [=:] ]] || flag=''
      continue
    fi
    case "$verb|$word" in
${branches(levels.map(({ path, flags }) => [patterns(path, valued(flags)), 'flag=$word']))}
${branches(levels.flatMap(({ levels: verbs, path }) => verbs.map((verb) => [patterns(path, [verb.name]), `verb='${verb.path}'`])))}
      *'|='|*'|:') flag='=' ;;
      *'|-'*) ;;
      *) operand=$((operand + 1)) ;;
    esac
  done
  [[ $cur == [=:] ]] && cur=''
  COMPREPLY=()
  if [[ -n $flag ]]; then
    case "$verb|$flag" in
${branches(levels.flatMap(({ path, flags }) => flags.map((flag) => [patterns(path, flag.names), completes(flag.values)])))}
    esac
  elif [[ $cur == -* ]]; then
    case "$verb" in
${branches(levels.map(({ path, flags }) => [`'${path}'`, completes(flags.flatMap(({ names }) => names))]))}
    esac
  else
    case "$verb|$operand" in
${branches(levels.flatMap(operandBranches))}
    esac
  fi
  [[ -z $words ]] || COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _${name} ${name}
`;
};

type Branch = readonly [pattern: string, does: string];

/** Those that do something. */
const branches = (all: readonly Branch[]): string =>
  all
    .filter(([pattern, does]) => pattern !== '' && does !== '')
    .map(([pattern, does]) => `      ${pattern}) ${does} ;;`)
    .join('\n');

const patterns = (path: string, words: readonly string[]): string => words.map((word) => `'${path}|${word}'`).join('|');

const valued = (flags: Level['flags']): string[] =>
  flags.filter(({ takesValue }) => takesValue).flatMap(({ names }) => names);

const operandBranches = ({ path, levels, operands, repeatsLast }: Level): Branch[] => {
  if (levels.length > 0) return [[`'${path}|0'`, completes(levels.map(({ name }) => name))]];
  return operands.map((values, index) => [
    repeatsLast && index === operands.length - 1 ? `'${path}|'*` : `'${path}|${index}'`,
    completes(values),
  ]);
};

const completes = (values: Values): string => {
  if (values === null) return '';
  if (values === 'files') return 'compopt -o default 2>/dev/null';
  return values === 'folders' ? 'compopt -o dirnames 2>/dev/null' : `words='${values.join(' ')}'`;
};

import { Argument, type Command } from 'commander';
import { bashScript } from '../completion.bash.js';
import { fishScript } from '../completion.fish.js';
import { levelOf, type Level } from '../completion.js';
import { zshScript } from '../completion.zsh.js';

const SCRIPTS: Readonly<Record<string, (program: Level) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export const addCompletion = (program: Command): void => {
  program
    .command('completion')
    .summary('print the script by which a shell completes lethe')
    .description('print the script by which a shell completes the verbs, options and values of lethe')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      `
Examples:
  $ lethe completion bash        # in ~/.bashrc: eval "$(lethe completion bash)"
  $ lethe completion zsh         # in ~/.zshrc, after compinit: eval "$(lethe completion zsh)"
  $ lethe completion fish > ~/.config/fish/completions/lethe.fish`,
    )
    .action((shell: string) => {
      process.stdout.write(SCRIPTS[shell]?.(levelOf(program)) ?? '');
    });
};

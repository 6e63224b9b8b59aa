import { readArgs, wrong } from './args.ts';
import { COMMANDS } from './commands.ts';
import type { Command } from './io.ts';

const USAGE = {
  text: `Usage: breakwater completion bash|zsh|fish

Prints a script that completes the commands of breakwater. For example:
  bash   source <(breakwater completion bash)            # in ~/.bashrc
  zsh    source <(breakwater completion zsh)             # in ~/.zshrc, after compinit
  fish   breakwater completion fish > ~/.config/fish/completions/breakwater.fish

  -h, --help   this text
`,
  options: {},
  words: ['SHELL'],
} as const;

/** `breakwater completion SHELL`: prints a completion script. After the command, the shell completes file names. */
export const completion: Command = async (args, io) => {
  const called = readArgs(args, USAGE, io);
  if ('exit' in called) return called.exit;
  const [shell = ''] = called.words;
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined)
    return wrong(`unknown shell "${shell}"; write bash, zsh or fish`, USAGE.text, io).exit;
  io.out(script());
  return 0;
};

const SCRIPTS: Readonly<Record<string, () => string>> = {
  bash: () => `_breakwater() {
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${COMMANDS.map(([name]) => name).join(' ')} --help --version" -- "\${COMP_WORDS[1]}"))
  fi
}
complete -o default -F _breakwater breakwater
`,
  zsh: () => `#compdef breakwater
_breakwater() {
  local -a commands=(
${COMMANDS.map(([name, { about }]) => `    '${name}:${about.replaceAll("'", "'\\''")}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; else _files; fi
}
compdef _breakwater breakwater
`,
  fish: () =>
    COMMANDS.map(
      ([name, { about }]) =>
        `complete -c breakwater -n __fish_use_subcommand -f -a ${name} -d '${about.replaceAll("'", "\\'")}'\n`,
    ).join(''),
};

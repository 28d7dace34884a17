/** `tfjs-mamba completion`: a script by which a shell completes commands, flags and their values. */
import type {Command, Option} from 'commander';
import {Argument} from 'commander';
import type {RunFlags} from './flags';
import {withOutput} from './flags';
import type {Io} from './io';

const help = `
Examples:
  $ tfjs-mamba completion bash >> ~/.bashrc
  $ tfjs-mamba completion zsh >> ~/.zshrc
  $ tfjs-mamba completion fish > ~/.config/fish/completions/tfjs-mamba.fish`;

const writers = {bash, zsh, fish};

export function completion(command: Command, io: Io): void {
  command.description('complete commands and flags in your shell').addHelpText('after', help);
  command.addArgument(new Argument('<shell>', 'which').choices(Object.keys(writers)));
  withOutput(command, 'the script as JSON');
  command.action((shell: keyof typeof writers, {json}: RunFlags) => {
    const script = writers[shell](command.parent!.commands);
    io.out(json ? `${JSON.stringify({shell, script})}\n` : script);
  });
}

function bash(commands: readonly Command[]): string {
  const flags = commands.map((command) => `    ${command.name()}) flags='${allFlags(command).join(' ')}' ;;`);
  const values = commands.flatMap((command) =>
    command.options
      .filter(({argChoices}) => argChoices)
      .map((option) => `    '${command.name()} ${option.long}') flags='${option.argChoices!.join(' ')}' ;;`),
  );
  return `_tfjs_mamba() {
  local word="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}" command="\${COMP_WORDS[1]}" flags=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map((command) => command.name()).join(' ')}' -- "$word"))
    return
  fi
  case "$command $before" in
${values.join('\n')}
  esac
  if [ -z "$flags" ] && [ "\${word#-}" = "$word" ]; then return; fi
  [ -n "$flags" ] || case "$command" in
${flags.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$flags" -- "$word"))
}
complete -o default -F _tfjs_mamba tfjs-mamba
`;
}

/** Zsh completes by bash's functions if told to. */
function zsh(commands: readonly Command[]): string {
  return `autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n${bash(commands)}`;
}

function fish(commands: readonly Command[]): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, '\\$&')}'`;
  const command = (name: string, description: string) =>
    `complete -c tfjs-mamba -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`;
  const flag = (name: string, {long, short, required, argChoices, description}: Option) =>
    [
      `complete -c tfjs-mamba -n '__fish_seen_subcommand_from ${name}'`,
      long && `-l ${long.slice(2)}`,
      short && `-s ${short.slice(1)}`,
      required && '-r',
      argChoices && `-f -a ${quoted(argChoices.join(' '))}`,
      `-d ${quoted(description)}`,
    ]
      .filter(Boolean)
      .join(' ');
  const lines = commands.flatMap((one) => [
    command(one.name(), one.description()),
    ...one.options.map((option) => flag(one.name(), option)),
  ]);
  return `${lines.join('\n')}\n`;
}

function allFlags(command: Command): string[] {
  return [...command.options.flatMap(({long}) => long ?? []), '--help'];
}

/**
 * The commands of `tfjs-mamba` and how they are called. Only what parses flags and writes help is loaded here; a command brings the
 * library, and TensorFlow.js, when it runs.
 */
import {Command, CommanderError} from 'commander';
import {applyConfig} from './configFile';
import {chat} from './chat';
import {completion} from './completion';
import {convert} from './convert';
import {doctor} from './doctor';
import {evaluate} from './evaluate';
import {finetune} from './finetune';
import {fuse} from './fuse';
import {generate} from './generate';
import {info} from './info';
import type {Io} from './io';
import {quantize} from './quantize';
import {UsageError} from './io';
import {train} from './train';

/** A command's flags, help and work. */
export type Definition = (command: Command, io: Io) => unknown;

const groups: Record<string, Record<string, Definition>> = {
  'Use a model:': {generate, chat, eval: evaluate},
  'Make a model:': {train, finetune, fuse, convert, quantize},
  'Look:': {info, doctor},
};

/** Done by bin/tfjs-mamba.js itself, which needs nothing built or installed for them. */
const setup = {
  'setup-native': 'builds the fused kernels for tfjs-node, on this machine',
  launch: 'runs a command as several processes that train together',
};

const examples = `
To begin with, through npx where the package is part of a project:
  $ tfjs-mamba train                                     a small model on Shakespeare, in minutes
  $ tfjs-mamba generate 'ROMEO:'                         lets it write
  $ tfjs-mamba finetune --train --data my-notes/         teaches it your own text
  $ tfjs-mamba doctor                                    what could make it faster

"tfjs-mamba <command> --help" explains a command. A command ends with 0, with 1 if it failed, and with 2 if it was called wrongly.`;

/** Builds the parser. */
export function makeProgram(io: Io, version: string): Command {
  const program = new Command('tfjs-mamba');
  program
    .description('Mamba language models in Node: train, fine-tune, evaluate, convert and generate, on TensorFlow.js.')
    .usage('<command> [options]')
    .version(version, '-v, --version', 'the version of the package')
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .exitOverride()
    .configureOutput({writeOut: (text) => io.out(text), writeErr: (text) => io.err(text)})
    .addHelpText('after', examples)
    .hook('preAction', (_, action) => applyConfig(action));
  for (const [group, members] of Object.entries(groups)) {
    program.commandsGroup(group);
    for (const [name, define] of Object.entries(members)) define(program.command(name), io);
  }
  program.commandsGroup('Set up:');
  completion(program.command('completion'), io);
  for (const [name, description] of Object.entries(setup)) program.command(name).description(description);
  for (const command of [program, ...program.commands]) {
    command.helpOption('-h, --help', 'this text');
    const name = [program.name(), command === program ? '' : command.name()].join(' ').trim();
    command
      .configureOutput({
        outputError: (text) => io.err(`${name}: ${oneLine(text)}; ${name} --help lists what there is\n`),
      })
      .showHelpAfterError(false);
  }
  return program;
}

/** Commander's two lines as one. */
function oneLine(text: string): string {
  const [first, meant] = text.trim().replace(/^error: /, '').split('\n'); // prettier-ignore
  return [first.replace(/\.$/, ''), meant?.replace('Did', 'did')].filter(Boolean).join(' ');
}

/**
 * Runs a command line.
 *
 * @param args What follows `tfjs-mamba`.
 * @returns What the process is to end with: 0, 1 after a failure, 2 if it was called wrongly.
 */
export async function run(args: readonly string[], io: Io, version: string): Promise<number> {
  const program = makeProgram(io, version);
  const [name] = args;
  const who = program.commands.some((command) => command.name() === name) ? `tfjs-mamba ${name}` : 'tfjs-mamba';
  if (args.length === 0) {
    io.err(`${who}: a command is missing; ${who} --help lists what there is\n`);
    return 2;
  }
  try {
    await program.parseAsync([...args], {from: 'user'});
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // it has been told
    io.err(`${who}: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

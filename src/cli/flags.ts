/** The values that flags take, and the flags that several commands have. */
import type {Command} from 'commander';
import {InvalidArgumentError, Option} from 'commander';

/** A reader of values for commander, which puts the flag's name before what it throws. */
function number(expected: string, holds: (x: number) => boolean) {
  return (text: string): number => {
    const value = text.trim() === '' ? NaN : Number(text);
    if (!holds(value)) throw new InvalidArgumentError(`It must be ${expected}.`);
    return value;
  };
}

/** A whole number of 1 or more. */
export const positive = number('a whole number of 1 or more', (x) => Number.isSafeInteger(x) && x >= 1);
/** A whole number of 0 or more. */
export const natural = number('a whole number of 0 or more', (x) => Number.isSafeInteger(x) && x >= 0);
/** A whole number of 1 or more, or -1 for all. */
export const positiveOrAll = number(
  'a whole number of 1 or more, or -1 for all',
  (x) => x === -1 || (Number.isSafeInteger(x) && x >= 1),
);
/** A number of 0 or more. */
export const nonNegative = number('a number of 0 or more', (x) => x >= 0 && x < Infinity);
/** A number above 0. */
export const above0 = number('a number above 0', (x) => x > 0 && x < Infinity);
/** A number above 0 and up to 1. */
export const share = number('a number above 0 and up to 1', (x) => x > 0 && x <= 1);
/** A number from 0 to below 1. */
export const fraction = number('a number from 0 to below 1', (x) => x >= 0 && x < 1);

/** Names with commas between. */
export function list(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw new InvalidArgumentError('It must be names with commas between.');
  return names;
}

/** The backends that Node has. */
export const backends = ['auto', 'tensorflow', 'wasm', 'cpu'] as const;

/** Flags of every command that runs a model. */
export interface RunFlags {
  backend: (typeof backends)[number];
  json?: boolean;
  config?: string;
}

/** Adds `--backend`. */
export function withBackend(command: Command): Command {
  return command.addOption(
    new Option('--backend <name>', 'what computes; auto takes the first that works').choices(backends).default('auto'),
  );
}

/** Adds `--json` and `--config`. */
export function withOutput(command: Command, json: string): Command {
  return command
    .option('--json', json)
    .option('-c, --config <file>', 'flags from a YAML or JSON file, by their names; those given here win');
}

/** A number flag whose default is told in words, since it depends on others. */
export function option(flags: string, description: string, read: (text: string) => number, byDefault?: string): Option {
  // Commander tells only defaults that are values.
  const told = byDefault === undefined ? description : `${description} (default: ${byDefault})`;
  return new Option(flags, told).argParser(read);
}

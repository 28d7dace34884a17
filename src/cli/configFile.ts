/**
 * `--config FILE`: flags from a YAML or JSON file, called as on the command line or, as mlx_lm's files have them, with underscores. What
 * the command line says itself wins.
 */
import {readFile} from 'node:fs/promises';
import type {Command, Option} from 'commander';
import {didYouMean} from '../ops/suggest';
import {list} from './flags';
import {UsageError} from './io';

/** Fills in the options of a command from the file that its `--config` names, if it does. */
export async function applyConfig(command: Command): Promise<void> {
  const {config: file} = command.opts<{config?: string}>();
  if (file === undefined) return;
  for (const [name, value] of Object.entries(flat(await readConfigFile(file)))) {
    const key = plain(name);
    const option = command.options.find((candidate) => plain(candidate.attributeName()) === key);
    if (option === undefined || option.attributeName() === 'config') {
      const known = command.options.map((candidate) => candidate.attributeName());
      throw new UsageError(`--config ${file}: there is no flag ${name}${didYouMean(name, known)}`);
    }
    if (command.getOptionValueSource(option.attributeName()) === 'cli' || value === null) continue;
    command.setOptionValueWithSource(option.attributeName(), readValue(file, option, value), 'config');
  }
}

async function readConfigFile(file: string): Promise<Record<string, unknown>> {
  const text = await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageError(`--config ${file} cannot be read: ${error.message}`);
  });
  const {parse} = await import('yaml'); // reads JSON too
  let content: unknown;
  try {
    content = parse(text);
  } catch (error) {
    throw new UsageError(`--config ${file} is no YAML: ${(error as Error).message.split('\n')[0]}`);
  }
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw new UsageError(`--config ${file} must hold flags and their values, such as iters: 100`);
  }
  return content as Record<string, unknown>;
}

function readValue(file: string, option: Option, value: unknown): unknown {
  const wrong = (expected: string) =>
    new UsageError(`--config ${file}: ${option.attributeName()} must be ${expected}, but is ${JSON.stringify(value)}`);
  if (option.isBoolean()) {
    if (typeof value !== 'boolean') throw wrong('true or false');
    return value;
  }
  if (Array.isArray(value) && option.parseArg === list) value = value.join(',');
  if (typeof value === 'object') throw wrong('a single value');
  if (!option.parseArg) return String(value);
  try {
    return option.parseArg(String(value), undefined);
  } catch (error) {
    throw new UsageError(
      `--config ${file}: ${option.attributeName()}: ${JSON.stringify(value)}. ${(error as Error).message}`,
    );
  }
}

/** mlx_lm's files have the flags of LoRA in a table of their own. */
function flat({lora_parameters: lora, ...rest}: Record<string, unknown>): Record<string, unknown> {
  const names = Object.entries(Object(lora) as object).map(([name, value]) => [
    `lora_${name === 'keys' ? 'targets' : name}`,
    value,
  ]);
  return {...rest, ...Object.fromEntries(names)};
}

/** `batch-size`, `batch_size` and `batchSize` are one. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_]/g, '');
}

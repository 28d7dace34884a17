/** `tfjs-mamba info`: what a model is, what it takes, and what would run it. No weight is read. */
import type {Command} from 'commander';
import type {RunFlags} from './flags';
import {withOutput} from './flags';
import {tellBytes, type Io} from './io';
import type {ModelFlags} from './library';
import {modelSource, withModel} from './library';

interface Flags extends RunFlags, ModelFlags {}

const help = `
Examples:
  $ tfjs-mamba info state-spaces/mamba-130m-hf
  $ tfjs-mamba info mamba-2.8b          a published size, by its name
  $ tfjs-mamba info --json runs/train`;

export function info(command: Command, io: Io): void {
  command
    .description('what a model is, the memory it takes, and what would run it')
    .argument('[model]', 'the same as --model; also the name of a published size')
    .addHelpText('after', help);
  withOutput(withModel(command), 'all of it as JSON');
  command.action((argument: string | undefined, flags: Flags) => act({...flags, model: argument ?? flags.model}, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  const source = modelSource(flags);
  const {bitsOf, describeModel} = await import('./describeModel');
  const {config, format, stored, parameters, memory, int8, runsOn} = await describeModel(source, flags.revision);
  if (flags.json)
    return io.out(`${JSON.stringify({model: source, format, stored, parameters, config, memory, runsOn})}\n`);
  const layout = format === undefined ? '' : `, in the layout of ${format}`;
  const types = stored?.map((type) => `${type} (${bitsOf(type)}-bit)`).join(' and ');
  const files = types === undefined ? '' : `, stored as ${types}`;
  io.out(`${source}: ${parameters.toLocaleString('en')} parameters${layout}${files}\n\n`);
  for (const [name, value] of Object.entries(config)) io.out(`  ${name.padEnd(18)}${JSON.stringify(value)}\n`);
  io.out(`\nmemory
  weights           ${tellBytes(memory.weights)} in float32, ${tellBytes(int8)} with --weights int8
  state             ${tellBytes(memory.state)} for each text that is being read or written, whatever its length
  training          ${tellBytes(memory.training)} for weights, gradients and moments, and what a batch keeps\n\nwould run on\n`);
  for (const {backend, generates, trains, limit} of runsOn) {
    const what = trains ? 'to generate and to train' : generates ? 'to generate, not to train' : 'no: it is too large';
    io.out(`  ${backend.padEnd(18)}${what}${limit === undefined ? '' : ` (${tellBytes(limit)} at most)`}\n`);
  }
}

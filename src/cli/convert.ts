/** `tfjs-mamba convert`: a model from one layout into another. */
import {existsSync} from 'node:fs';
import {rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import type {Command} from 'commander';
import {Option} from 'commander';
import type {RunFlags} from './flags';
import {above0, option, withOutput} from './flags';
import type {Io} from './io';
import {UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withModel} from './library';
import {checkFolder, show} from './rounds';

interface Flags extends RunFlags, ModelFlags {
  out?: string;
  to: 'huggingface' | 'state-spaces' | 'layers';
  dtype: 'float32' | 'float16' | 'bfloat16' | 'int8';
  maxShardGb: number;
  force?: boolean;
}

const help = `
Layouts: huggingface (config.json and safetensors, as transformers reads it), state-spaces (the original names, and
pytorch_model.bin, as mamba_ssm reads it),
layers (model.json and weights.bin, as tf.loadLayersModel reads it, always in float32). Whatever --model takes is read, pytorch_model.bin,
GGUF files and LayersModels too.

Examples:
  $ tfjs-mamba convert --model state-spaces/mamba-130m --out mamba-130m-hf --dtype bfloat16
  $ tfjs-mamba convert --model runs/train --to layers --out web-model`;

export function convert(command: Command, io: Io): void {
  command.description('write a model in another layout or precision').addHelpText('after', help);
  withModel(command)
    .option('--out <folder>', 'where it is written')
    .addOption(
      new Option('--to <layout>', 'of the files')
        .choices(['huggingface', 'state-spaces', 'layers'])
        .default('huggingface'),
    )
    .addOption(
      new Option('--dtype <type>', 'of the weights')
        .choices(['float32', 'float16', 'bfloat16', 'int8'])
        .default('float32'),
    )
    .addOption(option('--max-shard-gb <x>', 'gigabytes in a file of weights, at most', above0).default(2))
    .option('--force', 'over a model that is there');
  withOutput(command, 'what was written, as JSON');
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  const {out, to, dtype, maxShardGb, force, json} = flags;
  const source = modelSource(flags);
  if (out === undefined) throw new UsageError('--out is missing: the folder to write to');
  checkFolder(out, '--out');
  if (!force && ['config.json', 'model.json'].some((file) => existsSync(join(out, file)))) {
    throw new UsageError(`${show(out)} holds a model; --force writes over it, --out takes another folder`);
  }
  if (to === 'layers' && dtype !== 'float32') throw new UsageError('--dtype is float32 in the layout layers');
  if (to === 'state-spaces' && dtype === 'int8') throw new UsageError('--dtype int8 is for the layout huggingface');
  // No kernel runs, and memory for weights is all that is needed.
  const {lib} = await startLibrary({backend: 'cpu'});
  const model = await loadModel(lib, flags, io);
  try {
    if (to === 'layers') {
      const {saveFolder} = await import('./layersModel');
      await saveFolder(model, out);
      if (model.tokenizer) await writeFile(join(out, 'tokenizer.json'), JSON.stringify(model.tokenizer));
    } else {
      const maxShardBytes = to === 'state-spaces' ? Infinity : maxShardGb * 1e9;
      await lib.savePretrained(model, out, {dtype, layout: to, maxShardBytes, signal: io.signal});
      if (to === 'state-spaces') {
        const {writeTorchFile} = await import('./torchFile');
        const written = join(out, 'model.safetensors');
        await writeTorchFile(written, join(out, 'pytorch_model.bin'));
        await rm(written);
      }
    }
    const parameters = model.countParams();
    if (json) io.out(`${JSON.stringify({model: source, out, to, dtype, parameters})}\n`);
    else
      io.out(`${source} is in ${show(out)}: ${parameters.toLocaleString('en')} parameters in ${dtype}, layout ${to}\n`);
  } finally {
    model.dispose();
  }
}

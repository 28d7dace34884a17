/** `tfjs-mamba quantize`: a model with its matrices in 8 bits. */
import {statSync} from 'node:fs';
import {join} from 'node:path';
import type {Command} from 'commander';
import type {RunFlags} from './flags';
import {withOutput} from './flags';
import type {Io} from './io';
import {tellBytes, UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withModel} from './library';
import {checkFolder, holdsModel, show} from './rounds';

interface Flags extends RunFlags, ModelFlags {
  savePath: string;
  force?: boolean;
}

const help = `
Rows of 32 numbers become 32 bytes and a scale in half precision, as GGUF's Q8_0 has them; what 32 does not divide stays in floats. Run it with
"--weights int8", or fine-tune an adapter over it.

Example:
  $ tfjs-mamba quantize --model state-spaces/mamba-130m-hf --save-path mamba-130m-int8`;

export function quantize(command: Command, io: Io): void {
  command.description('write a model with its matrices in 8 bits').addHelpText('after', help);
  withModel(command)
    .option('--save-path <folder>', 'where the model is written', 'quantized_model')
    .option('--force', 'over a model that is there');
  withOutput(command, 'what was written, as JSON');
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  const {savePath, force, json} = flags;
  const source = modelSource(flags);
  checkFolder(savePath, '--save-path');
  if (!force && holdsModel(savePath)) {
    throw new UsageError(`${show(savePath)} holds a model; --force writes over it, --save-path takes another folder`);
  }
  const {lib} = await startLibrary({backend: 'cpu'});
  const model = await loadModel(lib, flags, io);
  try {
    await lib.savePretrained(model, savePath, {dtype: 'int8', maxShardBytes: Infinity, signal: io.signal});
    const {size: bytes} = statSync(join(savePath, 'model.safetensors'));
    const floats = 4 * model.countParams();
    if (json) io.out(`${JSON.stringify({model: source, savePath, bytes, floats})}\n`);
    else
      io.out(
        `${source} is in ${show(savePath)}: ${tellBytes(bytes)}, ${((100 * bytes) / floats).toFixed(0)} % of float32\n`,
      );
  } finally {
    model.dispose();
  }
}

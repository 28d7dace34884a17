/** `tfjs-mamba fuse`: an adapter into the weights of its model. */
import type {Command} from 'commander';
import {Option} from 'commander';
import type {RunFlags} from './flags';
import {withOutput} from './flags';
import type {Io} from './io';
import {UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withModel} from './library';
import {checkFolder, holdsModel, show} from './rounds';

interface Flags extends RunFlags, ModelFlags {
  adapterPath: string;
  savePath: string;
  dtype: 'float32' | 'float16' | 'bfloat16';
  force?: boolean;
}

const help = `
The model that comes out needs no adapter and is as fast as the one before.

Example:
  $ tfjs-mamba fuse --model state-spaces/mamba-130m-hf --adapter-path adapters --save-path my-mamba`;

export function fuse(command: Command, io: Io): void {
  command.description('put an adapter into the weights of its model').addHelpText('after', help);
  withModel(command)
    .option('--adapter-path <folder>', 'the adapter, of finetune or of PEFT', 'adapters')
    .option('--save-path <folder>', 'where the model is written', 'fused_model')
    .addOption(
      new Option('--dtype <type>', 'of the weights').choices(['float32', 'float16', 'bfloat16']).default('float32'),
    )
    .option('--force', 'over a model that is there');
  withOutput(command, 'what was written, as JSON');
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  const {adapterPath, savePath, dtype, force, json} = flags;
  const source = modelSource(flags);
  checkFolder(savePath, '--save-path');
  if (!force && holdsModel(savePath)) {
    throw new UsageError(`${show(savePath)} holds a model; --force writes over it, --save-path takes another folder`);
  }
  const {lib} = await startLibrary({backend: 'cpu'});
  const model = await loadModel(lib, flags, io);
  try {
    await lib.savePretrained(model, savePath, {dtype, signal: io.signal});
    if (json) io.out(`${JSON.stringify({model: source, adapterPath, savePath, dtype})}\n`);
    else io.out(`${source} with ${show(adapterPath)} is in ${show(savePath)}, in ${dtype}\n`);
  } finally {
    model.dispose();
  }
}

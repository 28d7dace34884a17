/** An adapter of PEFT, saved again: the same tensors, looked at by a reader of the layout that shares nothing with the one in src. */
import {loadAdapter, saveAdapter} from '../../src/adapters';
import {blobFile} from '../../src/checkpoints/bytes';
import {fixtureBytes, fixtureJson} from '../support/fixtures';
import {fixtureSource, goldenArrays} from '../support/golden';
import {adapterFiles, goldenAdapters, loadBase, logitsOf} from './goldenAdapters';
import {readLayout} from './layout';

describe('an adapter of PEFT that is saved', () => {
  it('is saved as it was loaded, tensor for tensor, in the layout of PEFT', async () => {
    for (const {name, base} of goldenAdapters) {
      const model = await loadBase(base);
      await loadAdapter(model, fixtureSource(`golden/peft/${name}`, adapterFiles));
      const saved = new Map<string, Uint8Array<ArrayBuffer>>();
      await saveAdapter(model, {write: (file, bytes) => void saved.set(file, bytes)});
      expect([...saved.keys()]).toEqual(adapterFiles);
      const theirs = await readLayout(
        async (file) => new Uint8Array(await fixtureBytes(`golden/peft/${name}/${file}`)),
      );
      const ours = await readLayout(async (file) => saved.get(file)!);
      const sorted = (tensors: typeof ours.tensors) => tensors.sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(sorted(ours.tensors)).toEqual(
        sorted(theirs.tensors.filter((tensor) => !tensor.name.includes('base_layer'))),
      );
      const config = await fixtureJson<Record<string, unknown>>(`golden/peft/${name}/adapter_config.json`);
      for (const field of ['peft_type', 'r', 'lora_alpha', 'lora_dropout', 'use_rslora', 'use_dora', 'bias']) {
        expect(ours.config[field]).withContext(field).toEqual(config[field]);
      }
      expect((ours.config['target_modules'] as string[]).sort()).toEqual((config['target_modules'] as string[]).sort());

      const before = await logitsOf(model, await goldenArrays(`golden/peft/${name}/expected.safetensors`));
      const source = {
        name: 'saved',
        open: async (file: string) => (saved.has(file) ? blobFile(file, new Blob([saved.get(file)!])) : undefined),
      };
      await loadAdapter(model, source); // in the place of the other
      expect(await logitsOf(model, await goldenArrays(`golden/peft/${name}/expected.safetensors`))).toEqual(before);
      model.dispose();
    }
  });
});

/** The models that come with the package, by their names. */
import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {fromPretrained} from '../../src/node';

const root = join(import.meta.dirname, '../../models');
const foldersWith = (file: string) => readdirSync(root).filter((folder) => existsSync(join(root, folder, file)));
const zoo = foldersWith('config.json');
/** Those of `tf.layers`, which TensorFlow.js loads: test/models.spec.ts does. */
const layersZoo = foldersWith('model.json');

function expectCard(name: string, weights: string): void {
  expect(statSync(join(root, name, weights)).size)
    .withContext(name)
    .toBeLessThan(4e6);
  const card = readFileSync(join(root, name, 'README.md'), 'utf8');
  for (const word of ['Data', 'Licence', 'Command', 'Seed', 'Hardware', 'Time', 'Result']) {
    expect(card).withContext(name).toContain(`| ${word} |`);
  }
}

describe('the models that come with the package', () => {
  it('are loaded by name, small, and have a card with what it takes to get them again', async () => {
    expect(zoo).toContain('induction-heads');
    for (const name of zoo) {
      const model = await fromPretrained(`tfjs-mamba/${name}`);
      expect(model.config.dModel).withContext(name).toBeGreaterThan(0);
      model.dispose();
      expectCard(name, 'model.safetensors');
    }
    expect(layersZoo).toContain('digits');
    for (const name of layersZoo) expectCard(name, 'weights.bin');
  });

  it('are listed where one is asked for that there is not', async () => {
    await expectAsync(fromPretrained('tfjs-mamba/induction')).toBeRejectedWithError(
      /there is no model tfjs-mamba\/induction; with the package come .*tfjs-mamba\/induction-heads/,
    );
  });
});

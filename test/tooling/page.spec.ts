/**
 * A plain page, as in the README: script tags and no bundler. A model that was saved in Node predicts there what it predicted in Node.
 */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {root, runAsUser} from '../support/asUser';
import {relativeError} from '../support/closeness';
import type {Serve} from '../support/inChromium';
import {inPage} from '../support/inChromium';

/** What Node hands to the page. */
interface Saved {
  modelTopology: object;
  weightSpecs: object[];
  /** Base64. */
  weightData: string;
  shape: number[];
  input: number[];
  output: number[];
}

const save = `
  import * as tf from '@tensorflow/tfjs';
  import {layers} from 'tfjs-mamba';
  const model = tf.sequential({layers: [
    layers.mambaBlock({dState: 8, seed: 1, inputShape: [40, 24]}),
    tf.layers.bidirectional({layer: layers.mamba({dState: 4, seed: 2}), mergeMode: 'concat'}),
    layers.causalConv1d({kernelSize: 3, activation: 'silu'}),
    layers.rmsNormalization(),
    tf.layers.dense({units: 5}),
  ]});
  const shape = [2, 40, 24];
  const input = Array.from({length: 1920}, (_, i) => Math.fround(Math.sin(0.37 * i * i)));
  const output = Array.from(model.predict(tf.tensor(input, shape)).dataSync());
  let saved;
  await model.save(tf.io.withSaveHandler((artifacts) => (saved = artifacts, {modelArtifactsInfo: {}})));
  const {modelTopology, weightSpecs} = saved;
  const weightData = Buffer.from(saved.weightData).toString('base64');
  console.log(JSON.stringify({modelTopology, weightSpecs, weightData, shape, input, output}));
`;

/** Each backend with the script that brings it, where TensorFlow.js's own does not. */
const backends: [backend: string, script?: string][] = [
  ['webgl'],
  ['cpu'],
  ['wasm', '@tensorflow/tfjs-backend-wasm/dist/tf-backend-wasm.min.js'],
];

/** The page of a backend; it reports what the model predicts, and on what. */
function page(backend: string, {shape, input}: Saved, script?: string): string {
  return `<!doctype html><meta charset="utf-8"><title>tfjs-mamba</title>
<script src="/@tensorflow/tfjs/dist/tf.min.js"></script>
<script src="/tfjs-mamba.umd.js"></script>
${script === undefined ? '' : `<script src="/${script}"></script>`}
<script>
  (async () => {
    await tf.setBackend('${backend}');
    const own = tf.getKernel('SelectiveScan', '${backend}') !== undefined;
    const model = await tf.loadLayersModel('/model.json');
    const output = model.predict(tf.tensor(${JSON.stringify(input)}, ${JSON.stringify(shape)}));
    return {backend: tf.getBackend(), own, output: Array.from(await output.data())};
  })().then(report, (error) => report({error: error.message}));
</script>`;
}

describe('a page with script tags', () => {
  let saved: Saved;

  beforeAll(() => {
    saved = runAsUser(save) as Saved;
  });

  for (const [backend, script] of backends) {
    it(`predicts on ${backend} what Node predicted, with a model that Node saved`, async () => {
      const {modelTopology, weightSpecs, weightData, output} = saved;
      const serve: Serve = async (path) => {
        if (path === '/') return ['text/html', page(backend, saved, script)];
        if (path === '/model.json') {
          const weightsManifest = [{paths: ['weights.bin'], weights: weightSpecs}];
          return ['application/json', JSON.stringify({modelTopology, weightsManifest, format: 'layers-model'})];
        }
        if (path === '/weights.bin') return ['application/octet-stream', Buffer.from(weightData, 'base64')];
        if (path === '/tfjs-mamba.umd.js') return ['text/javascript', await readFile(join(root, 'dist', path))];
        const type = path.endsWith('.wasm') ? 'application/wasm' : 'text/javascript';
        return [type, await readFile(join(root, 'node_modules', path))];
      };
      const result = await inPage<{backend: string; own: boolean; output: number[]}>(serve);
      expect({...result, output: []}).toEqual({backend, own: true, output: []});
      expect(relativeError(Float64Array.from(result.output), Float64Array.from(output))).toBeLessThan(2e-5);
    });
  }
});

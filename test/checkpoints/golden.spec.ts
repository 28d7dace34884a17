/** The recorded checkpoints, in every format they come in. */
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {readCheckpoint} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {weightTable} from '../../src/config/weightTable';
import {collect, expectSameWeights, folderFiles, golden, memorySource, parseSafetensors} from './memoryFiles';

const huggingFace = readdirSync(join(golden, 'lm'))
  .filter((name) => name !== 'index.json')
  .map((name) => join(golden, 'lm', name));
const official = ['official_mamba', 'official_mamba_fp16', 'official_mamba2', 'official_mamba2_g2'].map((name) =>
  join(golden, 'official', name),
);
const trained = join(golden, 'trained/selcopy_a');

describe('recorded checkpoints', () => {
  beforeAll(() => {
    registerFilePlatform(nodeFiles);
  });

  it('read, with every weight where it belongs', async () => {
    expect(huggingFace.length).toBe(7);
    for (const folder of [...huggingFace, ...official, trained]) {
      const checkpoint = await readCheckpoint(folder);
      expect(checkpoint.format).toBe(official.includes(folder) ? 'state-spaces' : 'huggingface');
      const weights = await collect(checkpoint);
      const {header, data} = parseSafetensors(folderFiles(folder)['model.safetensors'] as Uint8Array);
      for (const {ours, published, layout} of weightTable(checkpoint.config)) {
        const name = published in header ? published : published.replace('embeddings', 'embedding');
        const {dtype, shape, data_offsets: offsets} = header[name];
        const values = weights.get(ours)!;
        const [rows, columns = 1] = layout === 'transposed' ? shape : [shape[0], values.length / shape[0]];
        let wrong = 0;
        for (let r = 0; r < rows; r++) {
          for (let c = 0; c < columns; c++) {
            const stored = element(data, dtype, offsets[0], r * columns + c);
            if (values[layout === 'transposed' ? c * rows + r : r * columns + c] !== stored) wrong++;
          }
        }
        expect(wrong).withContext(`${folder} ${published}`).toBe(0);
        delete header[name];
      }
      // What remains is a tied head stored a second time.
      expect(Object.keys(header).filter((name) => name !== 'lm_head.weight')).toEqual([]);
    }
  });

  it('have the configuration that their models were made with', async () => {
    const config = async (folder: string) => (await readCheckpoint(folder)).config;
    expect(await config(join(golden, 'lm/mamba_untied_bias_k3'))).toEqual(
      jasmine.objectContaining({
        ...{vocabSize: 50, dModel: 24, nLayer: 2, dState: 4, dConv: 3, expand: 3, dInner: 72, dtRank: 4},
        ...{convBias: false, useBias: true, epsilon: 0.001, tieEmbeddings: false, eosTokenIds: []},
      }),
    );
    expect(await config(official[0])).toEqual(
      jasmine.objectContaining({vocabSize: 64, realVocabSize: 61, padVocabMultiple: 8, dModel: 24, nLayer: 2}),
    );
    expect(await config(official[1])).toEqual(
      jasmine.objectContaining({vocabSize: 64, realVocabSize: 50, padVocabMultiple: 16, dState: 8}),
    );
  });

  it('are the same from pytorch_model.bin and from safetensors', async () => {
    for (const folder of official) {
      const pickled = await readCheckpoint(join(folder, 'pytorch_model.bin'));
      expectSameWeights(await collect(pickled), await collect(await readCheckpoint(folder)));
      const {'model.safetensors': unused, ...rest} = folderFiles(folder);
      expect(unused).toBeDefined();
      expectSameWeights(await collect(await readCheckpoint(memorySource(rest))), await collect(pickled));
    }
  });

  it('are the same from shards and from one file', async () => {
    const whole = join(golden, 'lm/mamba_v64_h32');
    const single = await collect(await readCheckpoint(whole));
    expectSameWeights(await collect(await readCheckpoint(join(whole, 'sharded'))), single);
    const index = join(whole, 'sharded/model.safetensors.index.json');
    expectSameWeights(await collect(await readCheckpoint(`file://${index}`)), single);
  });

  it('tell of their progress, in bytes of all files', async () => {
    const seen: {loadedBytes: number; totalBytes: number; file: string}[] = [];
    const folder = join(golden, 'lm/mamba_v64_h32/sharded');
    await collect(await readCheckpoint(folder, {onProgress: (progress) => seen.push(progress)}));
    const total = Object.entries(folderFiles(folder))
      .filter(([name]) => name.endsWith('.safetensors'))
      .reduce((sum, [, bytes]) => sum + bytes.length, 0);
    expect(seen.every(({totalBytes}) => totalBytes === total)).toBeTrue();
    expect(seen.every(({loadedBytes}, i) => i === 0 || loadedBytes >= seen[i - 1].loadedBytes)).toBeTrue();
    expect(seen.at(-1)!.loadedBytes).toBe(total);
    expect(new Set(seen.map(({file}) => file)).size).toBeGreaterThan(0);
  });

  it('stop when the signal says so', async () => {
    const controller = new AbortController();
    const checkpoint = await readCheckpoint(join(golden, 'lm/mamba_v97_h48'), {signal: controller.signal});
    const weights = checkpoint.weights();
    expect((await weights.next()).done).toBeFalse();
    const reason = new Error('enough');
    controller.abort(reason);
    await expectAsync(weights.next()).toBeRejectedWith(reason);
    await expectAsync(readCheckpoint(trained, {signal: controller.signal})).toBeRejectedWith(reason);
  });
});

/** An element of a safetensors file by DataView, and half floats by their definition. */
function element(data: DataView, dtype: string, offset: number, index: number): number {
  if (dtype === 'F32') return data.getFloat32(offset + 4 * index, true);
  const half = data.getUint16(offset + 2 * index, true);
  if (dtype === 'BF16') {
    const scratch = new DataView(new ArrayBuffer(4));
    scratch.setUint16(0, half);
    return scratch.getFloat32(0);
  }
  const [sign, exponent, fraction] = [half >> 15 ? -1 : 1, (half >> 10) & 31, half & 1023];
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15));
}

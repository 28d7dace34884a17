/** Checkpoints that do not fit together: each is refused as a whole, before any weight is handed out. */
import {readCheckpoint} from '../../src/checkpoints/load';
import {countParameters} from '../../src/config/weightTable';
import {archive, op, stateDict, tensor} from './torchFiles';
import {
  bits,
  memorySource,
  numberedSafetensors,
  readFiles,
  tinyConfig,
  tinyFiles,
  tinyShapes,
  type Files,
} from './memoryFiles';

const config = (changes: object) => JSON.stringify({...tinyConfig, ...changes});
const index = (weightMap: object) => JSON.stringify({metadata: {}, weight_map: weightMap});
const without = (name: string) => Object.fromEntries(Object.entries(tinyShapes).filter(([key]) => key !== name));
const embedding = 'backbone.embeddings.weight';

/** The tiny checkpoint in two shards, with the index changed. */
function sharded(changes: Record<string, unknown> = {}): Files {
  const names = Object.keys(tinyShapes);
  const part = (from: number, to?: number) =>
    numberedSafetensors(Object.fromEntries(Object.entries(tinyShapes).slice(from, to)));
  const map = Object.fromEntries(names.map((name, i) => [name, i < 5 ? 'a.safetensors' : 'b.safetensors']));
  return {
    'config.json': config({}),
    'model.safetensors.index.json': index({...map, ...changes}),
    'a.safetensors': part(0, 5),
    'b.safetensors': part(5),
  };
}

function dropped(files: Files, name: string): Files {
  return Object.fromEntries(Object.entries(files).filter(([key]) => key !== name));
}

describe('readCheckpoint', () => {
  it('reads the tiny checkpoint that the others are made from', async () => {
    const weights = await readFiles(tinyFiles());
    expect(weights.size).toBe(Object.keys(tinyShapes).length);
    expect((await readFiles(sharded())).size).toBe(weights.size);
    const norm = Float32Array.of(20, 21, 22, 23);
    expect(bits(weights.get('layers.0/norm/weight')!)).toEqual(bits(norm));
    const checkpoint = await readCheckpoint(memorySource(tinyFiles()));
    expect(countParameters(checkpoint.config)).toBe([...weights.values()].reduce((sum, {length}) => sum + length, 0));
  });

  it('refuses weights that are missing, superfluous, misshapen or no floats, by name', async () => {
    const model = (shapes: Record<string, number[]>, dtype?: string) =>
      tinyFiles({'model.safetensors': numberedSafetensors(shapes, dtype)});
    const refused: [Files, RegExp][] = [
      ...Object.keys(tinyShapes).map((name): [Files, RegExp] => [
        model(without(name)),
        new RegExp(`lacks the tensor ${name}$`),
      ]),
      [
        model({...tinyShapes, 'backbone.layers.1.norm.weight': [4]}),
        /has the tensor backbone\.layers\.1\.norm\.weight, /,
      ],
      [model({...tinyShapes, ['__proto__']: [4]}), /has the tensor __proto__, /],
      [model({...tinyShapes, 'backbone.embedding.weight': [5, 4]}), /has both backbone\.embedding\.weight and/],
      [model({...tinyShapes, [embedding]: [4, 5]}), /embeddings\.weight must have the shape \[5,4\].*but has \[4,5\]/],
      [model({...tinyShapes, [embedding]: [6, 4]}), /must have the shape \[5,4\]/],
      [model({...tinyShapes, 'backbone.norm_f.weight': [4, 1]}), /norm_f\.weight must have the shape \[4\]/],
      [model(tinyShapes, 'I32'), /embeddings\.weight must be F32, F16 or BF16, but is I32/],
      [tinyFiles({'config.json': config({use_bias: true})}), /lacks the tensor .*in_proj\.bias/],
      [tinyFiles({'config.json': config({use_conv_bias: false})}), /has the tensor .*conv1d\.bias/],
      [tinyFiles({'config.json': config({num_hidden_layers: 1e9})}), /lacks the tensor backbone\.layers\.1\./],
      [tinyFiles({'config.json': config({tie_word_embeddings: false})}), /lacks the tensor lm_head\.weight/],
      [dropped(tinyFiles(), 'model.safetensors'), /memory has no weights; looked for model\.safetensors, /],
      [dropped(tinyFiles(), 'config.json'), /memory has no config\.json/],
    ];
    for (const [files, message] of refused) await expectAsync(readFiles(files)).toBeRejectedWithError(message);
  });

  it('takes a stored copy of a tied head, and refuses any other head', async () => {
    const withHead = (change: (head: Float32Array) => void, shape = [5, 4]) => {
      const bytes = numberedSafetensors({...tinyShapes, 'lm_head.weight': shape});
      const head = new Float32Array(bytes.slice(bytes.length - 80).buffer);
      for (let i = 0; i < 20; i++) head[i] = i;
      change(head);
      bytes.set(new Uint8Array(head.buffer), bytes.length - 80);
      return tinyFiles({'model.safetensors': bytes});
    };
    expect((await readFiles(withHead(() => {}))).has('lmHead/kernel')).toBeFalse();
    for (const files of [
      withHead((head) => (head[19] += 2)),
      withHead((head) => (head[0] = -0)),
      withHead(() => {}, [4, 5]),
    ]) {
      await expectAsync(readFiles(files)).toBeRejectedWithError(
        /lm_head\.weight differs from backbone\.embeddings\.weight/,
      );
    }
  });

  it('prefers safetensors to a pickle', async () => {
    const pickle = archive([...op.proto, ...op.global('os', 'system'), ...op.stop]);
    expect((await readFiles(tinyFiles({'pytorch_model.bin': pickle}))).size).toBe(12);
    const pickled = dropped(tinyFiles({'pytorch_model.bin': pickle}), 'model.safetensors');
    await expectAsync(readFiles(pickled)).toBeRejectedWithError(/pytorch_model\.bin: .*"os\.system"/);
  });

  it('reads shards of pickles', async () => {
    const name = embedding;
    const bin = archive(stateDict({[name]: tensor({shape: [5, 4]})}), {'0': new Float32Array(20).fill(3)});
    const rest = archive(
      stateDict(
        Object.fromEntries(
          Object.entries(without(name)).map(([other, shape], i) => [other, tensor({shape, key: String(i)})]),
        ),
      ),
      Object.fromEntries(
        Object.values(without(name)).map((shape, i) => [i, new Float32Array(shape.reduce((a, b) => a * b, 1))]),
      ),
    );
    const map = Object.fromEntries(Object.keys(tinyShapes).map((key) => [key, key === name ? 'a.bin' : 'b.bin']));
    const files = {'config.json': config({}), 'pytorch_model.bin.index.json': index(map), 'a.bin': bin, 'b.bin': rest};
    expect((await readFiles(files)).get('embeddings/weight')!.every((x) => x === 3)).toBeTrue();
  });

  it('refuses shards that are missing or not what the index says', async () => {
    const refused: [Files, RegExp][] = [
      [dropped(sharded(), 'b.safetensors'), /names the shard b\.safetensors, which is missing/],
      [sharded({extra: 'a.safetensors'}), /has tensor extra in a\.safetensors, which lacks it/],
      [sharded({[embedding]: 'b.safetensors'}), /a\.safetensors has tensor .*embeddings.* is in b\.safetensors/],
      [sharded({[embedding]: undefined}), /has tensor .*embeddings.* is in no shard/],
      [sharded({[embedding]: 5}), /names the file 5, which is no weight file/],
      [sharded({[embedding]: '../a.safetensors'}), /names the file "\.\.\/a\.safetensors"/],
      [sharded({[embedding]: 'C:\\a.safetensors'}), /which is no weight file beside it/],
      [sharded({[embedding]: 'config.json'}), /names the file "config\.json"/],
      [{...sharded(), 'model.safetensors.index.json': '{}'}, /lacks a weight_map/],
      [{...sharded(), 'model.safetensors.index.json': '{"weight_map":'}, /index\.json is not JSON/],
      [{...sharded(), 'b.safetensors': (sharded()['b.safetensors'] as Uint8Array).slice(0, -1)}, /cut off/],
    ];
    for (const [files, message] of refused) await expectAsync(readFiles(files)).toBeRejectedWithError(message);
  });

  it('takes the end of text from generation_config.json, then config.json', async () => {
    const eos = async (configured: object, generation?: object) => {
      const files = tinyFiles({'config.json': config(configured)});
      if (generation) files['generation_config.json'] = JSON.stringify(generation);
      return (await readCheckpoint(memorySource(files))).config.eosTokenIds;
    };
    expect(await eos({eos_token_id: 2})).toEqual([2]);
    expect(await eos({eos_token_id: 2}, {eos_token_id: [3, 4]})).toEqual([3, 4]);
    expect(await eos({eos_token_id: 2}, {use_cache: true})).toEqual([2]);
    expect(await eos({eos_token_id: null})).toEqual([]);
    await expectAsync(eos({}, {eos_token_id: 'end'})).toBeRejectedWithError(
      /generation_config\.json: eos_token_id must/,
    );
  });
});

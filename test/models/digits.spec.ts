/** Recordings of digits are read as they are, cut into frames, changed for training and turned into tokens; and hearing them as they come is hearing them whole. */
import {execFileSync} from 'node:child_process';
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {speak} from '../../models/digit-speech/speak';
import {
  ANY,
  speechBatch,
  speechBatches,
  tokensOf,
  decodeSample,
  encodeSample,
  END,
  vocabSize,
} from '../../models/digit-speech/tokens';
import {augment, batchOf, digitBatches, FRAME, framesOf, HOP, writeFrames} from '../../models/digits/frames';
import {Listener} from '../../models/digits/listen';
import {digitModel, heard, kinds} from '../../models/digits/models';
import {isForTest, parse} from '../../models/digits/recording';
import {readRecordings, tarFiles} from '../../models/digits/recordings';
import {UNASKED} from '../../models/support/episodes';
import {sha256, sourceFile} from '../../models/support/sources';
import {readWav, writeWav} from '../../models/support/wav';
import {mambaLM} from '../../src';
import {drawNormal} from '../../src/draw';
import {Random} from '../../src/random';

const samplesFolder = new URL('../../models/digits/samples/', import.meta.url);

describe('WAV files', () => {
  it('are read as what they hold', async () => {
    for (const name of (await readdir(samplesFolder)).filter((file) => file.endsWith('.wav')).slice(0, 3)) {
      const bytes = await readFile(new URL(name, samplesFolder));
      const {samples, rate} = readWav(bytes, name);
      expect(rate).toBe(8000);
      const data = bytes.indexOf('data') + 8;
      expect(samples.length).toBe((bytes.length - data) / 2);
      for (const i of [0, 7, samples.length - 1]) expect(samples[i]).toBe(bytes.readInt16LE(data + 2 * i) / 32768);
    }
  });

  it('come back as they were written, cut off beyond full scale', () => {
    const samples = Float32Array.of(0, 0.5, -0.25, -1, 1.5, -3);
    const {samples: read, rate} = readWav(writeWav({samples, rate: 8000}), 'written');
    expect(rate).toBe(8000);
    expect([...read]).toEqual([0, 0.5, -0.25, -1, 32767 / 32768, -1]);
  });

  it('of another kind are refused', () => {
    const good = writeWav({samples: new Float32Array(4), rate: 8000});
    const changed = (at: number, value: number) => Uint8Array.from(good, (byte, i) => (i === at ? value : byte));
    const cases: Array<[Uint8Array, RegExp]> = [
      [new Uint8Array(4), /^x\.wav: .* but it is no WAV file$/],
      [changed(22, 2), /but it has format 1, 2 channels and 16 bits$/],
      [changed(34, 8), /1 channels and 8 bits$/],
      [changed(41, 9), /its chunk 'data' of 2312 bytes ends beyond the file$/],
      [good.subarray(0, 36), /but it has no samples$/],
    ];
    for (const [bytes, message] of cases) expect(() => readWav(bytes, 'x.wav')).toThrowError(message);
    expect(() => parse('3_nobody_1.wav', good)).toThrowError(/^3_nobody_1.wav: expected <digit>_<speaker>_<index>.wav/);
    expect(() => parse('3_theo_1.wav', writeWav({samples: new Float32Array(4), rate: 16000}))).toThrowError(
      /but it has 16000$/,
    );
    const {digit, speaker, index} = parse('3_theo_12.wav', good);
    expect([digit, speaker, index]).toEqual([3, 4, 12]);
    expect(isForTest(parse('3_theo_4.wav', good))).toBeTrue();
    expect(isForTest(parse('3_theo_5.wav', good))).toBeFalse();
  });
});

describe('public data', () => {
  let folder: string;
  beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'real-data-'))));
  afterAll(() => rm(folder, {recursive: true}));

  it('from a folder must be what the results are of', async () => {
    const bytes = new TextEncoder().encode('as it was');
    await writeFile(join(folder, 'a.txt'), bytes);
    const source = {name: 'a.txt', url: 'https://nowhere.invalid/a.txt', sha256: sha256(bytes)};
    expect([...(await sourceFile(source, folder))]).toEqual([...bytes]);
    await writeFile(join(folder, 'a.txt'), 'changed');
    await expectAsync(sourceFile(source, folder)).toBeRejectedWithError(
      /a\.txt is not the file that was expected: its SHA-256 must be/,
    );
    await expectAsync(readRecordings(folder)).toBeRejectedWithError(
      /does not hold the 3,000 recordings of the dataset's commit/,
    );
  });

  it('is unpacked from an archive', async () => {
    const contents = {'one.wav': 'x'.repeat(513), 'two.wav': '', 'three.wav': 'y'.repeat(512)};
    const packed = await mkdtemp(join(folder, 'packed-'));
    for (const [name, content] of Object.entries(contents)) await writeFile(join(packed, name), content);
    const names = Object.keys(contents);
    const tar = execFileSync('tar', ['cf', '-', '-C', packed, ...names]);
    const files = [...tarFiles(tar)].map(({name, bytes}) => [name, new TextDecoder().decode(bytes)]);
    expect(files).toEqual(Object.entries(contents));
  });
});

describe('frames of sound', () => {
  it('are the 64 samples that end with every sixteenth, with silence around', () => {
    const samples = Float32Array.from({length: 100}, (_, i) => i + 1);
    const count = framesOf(samples.length);
    expect(count).toBe(7);
    const frames = new Float32Array(count * FRAME);
    writeFrames(samples, frames);
    for (let frame = 0; frame < count; frame++) {
      for (let i = 0; i < FRAME; i++) {
        const at = (frame + 1) * HOP - FRAME + i;
        expect(frames[frame * FRAME + i]).toBe(at >= 0 && at < 100 ? 4 * (at + 1) : 0);
      }
    }
  });

  it('say which share of a row is its own, and its mean is what is heard', async () => {
    const {xs, ys} = batchOf([
      {digit: 3, samples: new Float32Array(10 * HOP)},
      {digit: 4, samples: new Float32Array(33 * HOP - 5)},
    ]);
    expect(xs.shape).toEqual([2, 64, FRAME]);
    expect([...(await ys.data())]).toEqual([3, 10 / 64, 4, 33 / 64]);
    for (const [outputs, own] of [[64, [10, 33]], [8, [2, 5]]] as const) {
      const logits = tf.range(0, outputs).reshape<tf.Tensor3D>([1, outputs, 1]).tile<tf.Tensor3D>([2, 1, 10]);
      const means = await heard(logits, tf.tensor1d([10 / 64, 33 / 64])).array();
      own.forEach((count, row) => expect(means[row][9]).toBeCloseTo((count - 1) / 2, 5));
    }
    tf.dispose([xs, ys]);
  }); // prettier-ignore

  it('are changed in training, the same way from the same seed, and all are drawn alike', async () => {
    const sound = {digit: 5, speaker: 0, index: 9, samples: drawNormal(3000, 0.1, 1)};
    const [first, again, other] = [1, 1, 2].map((seed) => augment(sound, new Random(seed), 2500));
    expect(first.digit).toBe(5);
    expect(first.samples).toEqual(again.samples);
    expect(first.samples).not.toEqual(other.samples);
    const many = Array.from({length: 200}, (_, seed) => augment(sound, new Random(seed), 2500).samples);
    expect(Math.max(...many.map(({length}) => length))).toBe(2500);
    expect(many.every((samples) => samples.every(Number.isFinite))).toBeTrue();

    const recordings = Array.from({length: 40}, (_, i) => ({...sound, digit: i, samples: new Float32Array(20 + i)}));
    const iterator = await digitBatches(recordings, {batchSize: 8, seed: 3, longest: 2500}).iterator();
    const drawn = new Array<number>(40).fill(0);
    for (let i = 0; i < 500; i++) {
      const {xs, ys} = (await iterator.next()).value;
      const labels = await ys.data();
      for (let row = 0; row < 8; row++) drawn[labels[2 * row]]++;
      tf.dispose([xs, ys]);
    }
    // 100 each; rows of a batch are neighbours and vary together, so ten deviations of single draws would be 100.
    expect(Math.min(...drawn)).toBeGreaterThan(45);
    expect(Math.max(...drawn)).toBeLessThan(165);
  });
});

describe('the models of digits', () => {
  it('have as many weights as Mamba, within one in a hundred, and at most 300,000', () => {
    const counts = kinds.map((kind) => digitModel(kind, {seed: 1}).countParams());
    expect(counts[0]).toBeLessThan(300_000);
    for (const count of counts) expect(Math.abs(count / counts[0] - 1)).toBeLessThan(0.01);
  });

  it('hear in pieces of any size what they hear in the whole, and forget when told', async () => {
    const model = digitModel('mamba', {seed: 3});
    const sound = drawNormal(40 * HOP, 0.2, 4);
    const {xs, ys} = batchOf([{digit: 0, samples: sound}]);
    const whole = tf.tidy(() => heard(model.predict(xs) as tf.Tensor3D, tf.tensor1d([40 / 64])).softmax());
    const expected = [...(await whole.data())];
    const listener = new Listener(model, {frames: 4});
    for (const pieces of [[640], [1, 130, 7, 500, 2]]) {
      listener.forget();
      const before = tf.memory().numTensors;
      let [at, last] = [0, await listener.hear(new Float32Array(0))];
      expect(last.digit).toBeUndefined();
      for (const size of pieces) last = await listener.hear(sound.subarray(at, (at += size)));
      last.probabilities.forEach((value, digit) => expect(value).toBeCloseTo(expected[digit], 4));
      expect(last.digit).toBe(expected.indexOf(Math.max(...expected)));
      listener.forget();
      expect(tf.memory().numTensors).toBe(before);
    }
    listener.dispose();
    model.dispose();
    tf.dispose([xs, ys, whole]);
  });
});

describe('sound as tokens', () => {
  it('is exact to 2.2 of a hundred, and each token is its own sample', () => {
    for (let token = 0; token < 256; token++) expect(encodeSample(decodeSample(token))).toBe(token);
    expect([-1, 1, -2, 2].map(encodeSample)).toEqual([0, 255, 0, 255]);
    // 256 steps of a curve of 256 to 1 either way: neighbours differ by a factor 256^(2/255), half of which is 2.2 %.
    for (const sample of [-0.9, -0.31, 0.05, 0.123, 0.77]) {
      expect(Math.abs(decodeSample(encodeSample(sample)) / sample - 1)).toBeLessThan(0.03);
    }
  });

  it('begins with the digit and the speaker, is as loud as all, and ends', async () => {
    const recording = {digit: 7, speaker: 2, index: 0, samples: Float32Array.of(0, 0.01, -0.02, 0.005, 0)};
    const tokens = tokensOf(recording);
    expect([...tokens]).toEqual([263, 268, ...[0, 0.35, -0.7, 0.175].map(encodeSample), END]);
    expect([...tokensOf(recording, 2, -1)]).toEqual([263, 268, ...[0, 0.7].map(encodeSample), END]);
    const {xs, ys} = speechBatch([tokens, tokens.subarray(0, 3)], 5);
    expect(await xs.array()).toEqual([[...tokens.subarray(0, 5)], [...tokens.subarray(0, 3), 0, 0]]);
    expect(await ys.array()).toEqual([[UNASKED, ...tokens.subarray(2, 6)], [UNASKED, tokens[2], UNASKED, UNASKED, UNASKED]]);
    tf.dispose([xs, ys]);
  }); // prettier-ignore

  it('is told no digit in one recording of eight', async () => {
    const recordings = [4, 4].map((digit) => ({digit, speaker: 1, index: 9, samples: Float32Array.of(0, 0.1, 0.2)}));
    const iterator = await speechBatches(recordings, {batchSize: 2, seed: 1, longest: 8}).iterator();
    const firsts: number[] = [];
    for (let i = 0; i < 400; i++) {
      const {xs, ys} = (await iterator.next()).value;
      firsts.push(...(await xs.slice([0, 0], [2, 1]).data()));
      tf.dispose([xs, ys]);
    }
    expect(new Set(firsts)).toEqual(new Set([260, ANY]));
    // 100 of 800, and five deviations either way.
    expect(Math.abs(firsts.filter((id) => id === ANY).length - 100)).toBeLessThan(47);
  });

  it('is spoken by what the digit changes, as often as that is counted', async () => {
    const model = mambaLM({vocabSize, dModel: 8, nLayer: 1}, {seed: 3});
    const say = async (digit: number, guidance: number) => {
      const [{samples}] = await speak(model, [{digit, speaker: 2}], {temperature: 0.1, guidance, seed: 5, longest: 40});
      return [...samples];
    };
    const before = tf.memory().numTensors;
    expect(await say(3, 0)).toEqual(await say(8, 0));
    expect(await say(3, 1)).not.toEqual(await say(8, 1));
    // Counted once it is the model's own choice, here of a temperature at which there is none.
    const stream = model.generate([[256 + 3, 266 + 2]], {maxNewTokens: 40, temperature: 0});
    const own: number[] = [];
    for await (const {id} of stream) own.push(id);
    const [{samples}] = await speak(model, [{digit: 3, speaker: 2}], {
      temperature: 1e-6,
      guidance: 1,
      seed: 5,
      longest: 40,
    });
    const end = own.indexOf(END);
    expect([...samples]).toEqual([
      ...Float32Array.from(own.slice(0, end < 0 ? 40 : end), (id) => (id < 256 ? decodeSample(id) : 0)),
    ]);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });
});

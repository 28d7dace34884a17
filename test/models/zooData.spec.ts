/** What the models of real text and DNA are trained on and compared with is read, cut and counted right. */
import * as tf from '@tensorflow/tfjs';
import {resolveConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import {Random} from '../../src/random';
import {cut, readFasta, reverseComplement, strands} from '../../models/dna/bases';
import {classifiers} from '../../models/dna/classifiers';
import {readJunctions} from '../../models/dna/junctions';
import {blendedBits, countContexts, markovBits} from '../../models/dna/markov';
import {architectures, configOf, sizes} from '../../models/scaling/sizes';
import {playText, shares, tellingLines} from '../../models/writer/plays';

describe('DNA', () => {
  it('is the first sequence of a file, in either case', () => {
    expect([...readFasta('>one\nACgt\nNA\n>two\nTTTT\n')]).toEqual([0, 1, 2, 3, 0, 0]);
    expect(() => readFasta('ACGT')).toThrowError(/must start with >/);
    expect(() => readFasta('>x\nAC?T')).toThrowError(/"\?", which is no base/);
  });

  it('has another strand, and regions by shares', () => {
    expect([...reverseComplement(Uint8Array.of(0, 0, 1, 3))]).toEqual([0, 2, 3, 3]);
    expect([...cut(Uint8Array.of(0, 1, 2, 3), [0.25, 0.75])]).toEqual([1, 2]);
  });

  it('is trained on by windows of both strands, never across the end of a stretch', async () => {
    // AAAA…C and its other strand, G…TTTT.
    const stretches = [new Uint8Array(6).fill(0), Uint8Array.of(1, 1, 1, 1, 1, 1, 1)];
    const iterator = await strands(stretches, {batchSize: 64, length: 4}, new Random(1)).iterator();
    const {xs, ys} = (await iterator.next()).value;
    const [given, wanted] = [xs.arraySync(), ys.arraySync()];
    tf.dispose([xs, ys]);
    const kinds = new Set((given as number[][]).map((row, i) => [...row, (wanted as number[][])[i][3]].join('')));
    expect([...kinds].sort()).toEqual(['00000', '11111', '22222', '33333']);
  });

  it('is counted on both strands, alone and blended', () => {
    const counts = [0, 1].map((order) => countContexts([Uint8Array.of(0, 0, 1)], order));
    expect([...counts[0]]).toEqual([2, 1, 1, 2]); // AAC and GTT
    expect(counts[1][0 * 4 + 0]).toBe(1); // AA
    expect(counts[1][0 * 4 + 1]).toBe(1); // AC
    expect(counts[1][2 * 4 + 3]).toBe(1); // GT
    const test = Uint8Array.of(0, 1, 2);
    const alone = -(Math.log2((1 + 0.5) / (2 + 2)) + Math.log2(0.5 / 2)) / 2;
    expect(markovBits(counts[1], 1, test, 0.5)).toBeCloseTo(alone, 12);
    const below = (base: number) => ([2, 1, 1, 2][base] + 4 / 4) / (6 + 4);
    const blended = -(Math.log2((1 + 4 * below(1)) / (2 + 4)) + Math.log2((0 + 4 * below(2)) / (0 + 4))) / 2;
    expect(blendedBits(counts, test, 4)).toBeCloseTo(blended, 12);
  });
});

describe('splice junctions', () => {
  const sequence = `${'ACGT'.repeat(14)}DNSR`;

  it('are read once each, with letters that stand for several bases', () => {
    const [one, ...more] = readJunctions(`EI,  A, ${sequence}\nEI,  B, ${sequence}\nN, C, ${'A'.repeat(60)}\n`);
    expect([one.kind, more.length, more[0].kind]).toEqual([0, 1, 2]);
    const at = (i: number) => [...one.bases.subarray(4 * i, 4 * i + 4)];
    expect([at(0), at(3), at(57), at(58)]).toEqual([[1, 0, 0, 0], [0, 0, 0, 1], [0.25, 0.25, 0.25, 0.25], [0, 0.5, 0.5, 0]]); // prettier-ignore
    expect(at(59)).toEqual([0.5, 0, 0.5, 0]);
  });

  it('are seen from both strands by the same weights', () => {
    const model = classifiers.mamba(1);
    const [input, other] = [tf.randomUniform([2, 60, 4], 0, 1, 'float32', 1), tf.tidy(() => tf.randomUniform([2, 60, 4], 0, 1, 'float32', 1).reverse([1, 2]))];
    const features = tf.model({inputs: model.inputs, outputs: model.layers.find(({name}) => name.startsWith('concatenate'))!.output});
    const [a, b] = [features.predict(input), features.predict(other)] as tf.Tensor3D[];
    const width = a.shape[2] / 2;
    // What is said of a strand does not depend on which of the two it is given as.
    const difference = tf.tidy(() => a.slice([0, 0, 0], [-1, -1, width]).sub(b.slice([0, 0, width], [-1, -1, width])).abs().max());
    expect(difference.dataSync()[0]).toBeLessThan(1e-5);
    tf.dispose([input, other, a, b, difference]);
    model.dispose();
  }); // prettier-ignore
});

describe('the models of the scaling law', () => {
  it('have as many weights in both architectures, and four times those of the size before', () => {
    for (const size of Object.keys(sizes) as Array<keyof typeof sizes>) {
      const [mamba, transformer] = architectures.map((which) => countParameters(resolveConfig(configOf(which, size))));
      expect(Math.abs(transformer / mamba - 1))
        .withContext(size)
        .toBeLessThan(0.01);
      expect(mamba / (parseFloat(size) * 1e6))
        .withContext(size)
        .toBeGreaterThan(0.9);
      expect(mamba / (parseFloat(size) * 1e6))
        .withContext(size)
        .toBeLessThan(1.5);
    }
  });
});

describe('plays', () => {
  const xml = `<PLAY><SPEECH>
<SPEAKER>First Lord</SPEAKER>
<LINE>Rough winds <STAGEDIR>Exit</STAGEDIR>do shake the darling &amp; buds,</LINE>
<LINE><STAGEDIR>Aside</STAGEDIR></LINE>
<LINE>Of [May].</LINE>
</SPEECH>
<SPEECH><SPEAKER>ALL</SPEAKER><LINE>Ay.</LINE></SPEECH></PLAY>`;

  it('become text as the corpus has it', () => {
    const alphabet = new Set('First Lord:\nRough winds do shake the darling & buds,Of May.ALL');
    expect(playText(xml, alphabet)).toBe(
      'First Lord:\nRough winds do shake the darling & buds,\nOf May.\n\nALL:\nAy.\n',
    );
  });

  it('that the corpus has a part of are known by their lines', () => {
    const line = (i: number) => `Line ${i} of a play that goes on`;
    const play = Array.from({length: 500}, (_, i) => line(i)).join('\n');
    expect(shares(play, tellingLines(Array.from({length: 3}, (_, i) => line(i)).join('\n')))).toBeTrue();
    expect(shares(play, tellingLines(`${line(7)}\nAy.\nNo line of it at all, this one`))).toBeFalse();
  });
});

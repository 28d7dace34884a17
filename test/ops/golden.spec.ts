/**
 * The recorded cases of the official implementations (test/fixtures/golden): outputs, states and gradients. Those of Mamba-1 are
 * channels-first, [batch, channels, length]; the loss whose gradients were recorded is Σ out·gout, so the final state has no gradient.
 */
import type {ConvActivation} from '../../src/ops/causalConv1d/kernels';
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, transposed} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {describeComposed} from '../support/composedKernels';
import {fixtureJson} from '../support/fixtures';
import {goldenArrays} from '../support/golden';
import {backendSettings} from '../support/settings';
import {convCase} from './cases/causalConv1d';
import {scanCase} from './cases/selectiveScan';
import {ssdCase} from './cases/ssd';
import type {OpUnderTest} from './opUnderTest';
import {anyOp, evaluateOp} from './opUnderTest';

interface GoldenCase {
  name: string;
  file: string;
}

/** Length from the last axis to the second: [b,d,l] → [b,l,d], [b,n,l] → [b,l,n], [b,g,n,l] → [b,l,g,n]. */
function timeSecond(array: Array64): Array64 {
  const rank = array.shape.length;
  return transposed(array, [0, rank - 1, ...Array.from({length: rank - 2}, (_, i) => i + 1)]);
}

/** Picks `names` (ours → recorded) out of `recorded`. */
function pickAsTheyAre(recorded: Arrays, names: Record<string, string>, prefix = ''): Arrays {
  const present = Object.entries(names).filter(([, theirs]) => `${prefix}${theirs}` in recorded);
  return Object.fromEntries(present.map(([ours, theirs]) => [ours, recorded[`${prefix}${theirs}`]]));
}

/** The same, with sequences that were recorded channels-first. */
function pick(recorded: Arrays, names: Record<string, string>, prefix = ''): Arrays {
  const picked = pickAsTheyAre(recorded, names, prefix);
  return mapValues(picked, (array) => (array.shape.length >= 3 ? timeSecond(array) : array));
}

/** What is wrong with the op on a recorded case. */
async function compareWithRecord(
  op: OpUnderTest,
  inputs: Arrays,
  options: Record<string, unknown>,
  expected: {outputs: Arrays; gradients: Arrays; gradientOfY: Array64},
): Promise<string[]> {
  const projections = mapValues(expected.outputs, ({shape}) => fill(shape, () => 0));
  const {outputs, gradients} = await evaluateOp(op, {inputs, options}, {...projections, y: expected.gradientOfY});
  const {output, gradient} = backendSettings();
  return [
    ...mismatches(outputs, expected.outputs, output),
    ...mismatches(gradients, expected.gradients, gradient).map((text) => `gradient of ${text}`),
  ];
}

const scanNames = {u: 'u', delta: 'delta', A: 'A', B: 'B', C: 'C', D: 'D', z: 'z', deltaBias: 'delta_bias'};
const scanIndex = await fixtureJson<{cases: (GoldenCase & {delta_softplus: boolean})[]}>(
  'golden/selective_scan/index.json',
);
const convNames = {x: 'x', weight: 'weight', bias: 'bias', initialState: 'initial_states'};
const convIndex = await fixtureJson<{cases: (GoldenCase & {activation: ConvActivation | null})[]}>(
  'golden/conv1d/index.json',
);
const ssdNames = {
  ...{u: 'x', delta: 'dt', A: 'A', B: 'B', C: 'C', D: 'D', deltaBias: 'dt_bias'},
  ...{initialState: 'initial_states'},
};
const ssdIndex = await fixtureJson<{
  cases: (GoldenCase & {dt_softplus: boolean; dt_limit: [number, number | null]})[];
}>('golden/ssd/index.json');

function recordedCases(): void {
  for (const {name, file, dt_softplus: deltaSoftplus, dt_limit: limit} of ssdIndex.cases) {
    it(`of ssd, ${name}`, async () => {
      const recorded = await goldenArrays(`golden/ssd/${file}`);
      const expected = {
        outputs: {y: recorded.out, finalState: recorded.final_state},
        gradients: pickAsTheyAre(recorded, ssdNames, 'd'),
        gradientOfY: recorded.gout,
      };
      const options = {deltaSoftplus, deltaLimit: [limit[0], limit[1] ?? Infinity]};
      expect(await compareWithRecord(anyOp(ssdCase), pickAsTheyAre(recorded, ssdNames), options, expected)).toEqual([]);
    });
  }

  for (const {name, file, delta_softplus: deltaSoftplus} of scanIndex.cases) {
    it(`of selectiveScan, ${name}`, async () => {
      const recorded = await goldenArrays(`golden/selective_scan/${file}`);
      const expected = {
        outputs: {y: timeSecond(recorded.out), finalState: recorded.last_state},
        gradients: pick(recorded, scanNames, 'd'),
        gradientOfY: timeSecond(recorded.gout),
      };
      const inputs = pick(recorded, scanNames);
      expect(await compareWithRecord(anyOp(scanCase), inputs, {deltaSoftplus}, expected)).toEqual([]);
    });
  }

  for (const {name, file, activation} of convIndex.cases) {
    it(`of causalConv1d, ${name}`, async () => {
      const recorded = await goldenArrays(`golden/conv1d/${file}`);
      const expected = {
        outputs: {y: timeSecond(recorded.out), finalState: timeSecond(recorded.final_states)},
        gradients: pick(recorded, convNames, 'd'),
        gradientOfY: timeSecond(recorded.gout),
      };
      const options = {activation: activation ?? 'linear'};
      const inputs = pick(recorded, convNames);
      expect(await compareWithRecord(anyOp(convCase), inputs, options, expected)).toEqual([]);
    });
  }
}

describe('a recorded case', () => {
  it('is one of 27 scans, 16 convolutions and 6 scans of Mamba-2', () => {
    expect(scanIndex.cases.length).toBe(27);
    expect(convIndex.cases.length).toBe(16);
    expect(ssdIndex.cases.length).toBe(6);
  });

  recordedCases();
});

describeComposed('a recorded case, composed of TensorFlow.js ops,', () => {
  recordedCases();
});

/**
 * Further reference cases (test/fixtures/data): those of the official CUDA kernels that its README names as checked, with loss
 * Σ out, and one float64 case with every gradient. The CUDA kernels compute in float32; in half precision they round what they
 * return, and are matched as far as that goes.
 */
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, transposed} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {fixtureJson} from '../support/fixtures';
import {backendSettings} from '../support/settings';
import {convCase} from './cases/causalConv1d';
import {scanCase} from './cases/selectiveScan';
import {stateUpdateCase} from './cases/selectiveStateUpdate';
import type {OpUnderTest} from './opUnderTest';
import {anyOp, evaluateOp} from './opUnderTest';

type Nested = number | Nested[];

/** Nested lists of numbers to an array; the shape is that of the lists. */
function fromNested(nested: Nested): Array64 {
  const shape: number[] = [];
  for (let level = nested; Array.isArray(level); level = level[0]) {
    shape.push(level.length);
  }
  const flat = (item: Nested): number[] => (Array.isArray(item) ? item.flatMap(flat) : [item]);
  return {shape, values: Float64Array.from(flat(nested))};
}

interface CudaCase {
  inputs: Record<string, {data: Nested}>;
  outputs: Record<string, {data: Nested}>;
  gradients?: Record<string, {data: Nested}>;
}

const cuda = await fixtureJson<Record<string, Record<string, CudaCase>>>('data/mamba_reference_cases.json');

/** Reads recorded tensors under our names, sequences [b,d,l] with the length second. */
function read(tensors: Record<string, {data: Nested}>, renamed: Record<string, string> = {}): Arrays {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, {data}]) => {
      const array = fromNested(data);
      return [renamed[name] ?? name, array.shape.length === 3 ? transposed(array, [0, 2, 1]) : array];
    }),
  );
}

/** Compares the op with a recorded case whose loss is the sum of y; outputs that were not recorded are left out. */
async function compareWithSum(op: OpUnderTest, record: CudaCase, options: Record<string, unknown>, rounding: number) {
  const inputs = read(record.inputs);
  const expected = op.reference({inputs, options});
  const projections = mapValues(expected, ({shape}, name) => fill(shape, () => (name === 'y' ? 1 : 0)));
  const {outputs, gradients} = await evaluateOp(op, {inputs, options}, projections);
  const {output, gradient} = backendSettings();
  return [
    ...mismatches({y: outputs.y}, read(record.outputs), output + rounding),
    ...mismatches(gradients, read(record.gradients!), gradient + rounding),
  ];
}

describe('a case of the CUDA kernels', () => {
  // The flag was not recorded. The last column is half the distance between neighbouring numbers of the format, relative to them.
  for (const [name, deltaSoftplus, rounding] of [
    ['minimal', false, 0],
    ['time_varying_3d', true, 0],
    ['minimal_fp16', false, 2 ** -11],
    ['minimal_bf16', false, 2 ** -8],
  ] as const) {
    it(`of the selective scan, ${name}`, async () => {
      const record = cuda.selective_scan[name];
      expect(await compareWithSum(anyOp(scanCase), record, {deltaSoftplus}, rounding)).toEqual([]);
    });
  }

  it('of the causal convolution, channels_first_silu', async () => {
    const record = cuda.dw_causal_conv.channels_first_silu;
    expect(await compareWithSum(anyOp(convCase), record, {activation: 'silu'}, 0)).toEqual([]);
  });

  it('of the state update, baseline_full', async () => {
    const record = cuda.selective_state_update.baseline_full;
    const renamed = {x: 'u', dt: 'delta', dt_bias: 'deltaBias'};
    const inputs = Object.fromEntries(
      Object.entries(record.inputs).map(([name, {data}]) => [renamed[name as 'x'] ?? name, fromNested(data)]),
    );
    const testCase = {inputs, options: {deltaSoftplus: true}};
    const {outputs} = await evaluateOp(
      anyOp(stateUpdateCase),
      testCase,
      mapValues(stateUpdateCase.reference(testCase), ({shape}) => fill(shape, () => 1)),
    );
    const expected = {
      y: fromNested(record.outputs.y.data),
      state: fromNested(record.outputs.updated_state.data),
    };
    expect(mismatches(outputs, expected, backendSettings().output)).toEqual([]);
  });
});

describe('the float64 case with every gradient', () => {
  it('of the selective scan', async () => {
    const recorded = await fixtureJson<Record<string, Nested>>('data/selective_fp64.json');
    const names = {u: 'x', delta: 'delta', A: 'A', B: 'B', C: 'C', D: 'D', z: 'z'};
    const inputs = mapValues(names, (theirs) => fromNested(recorded[theirs]));
    const expectedGradients = mapValues(names, (theirs) => fromNested(recorded[`g${theirs}`]));
    const expected = {y: fromNested(recorded.y), finalState: fromNested(recorded.final)};
    const projections = {y: fromNested(recorded.r), finalState: fill(expected.finalState.shape, () => 0)};
    const testCase = {inputs, options: {deltaSoftplus: false}};
    const {outputs, gradients} = await evaluateOp(anyOp(scanCase), testCase, projections);
    const {output, gradient} = backendSettings();
    expect(mismatches(outputs, expected, output)).toEqual([]);
    expect(mismatches(gradients, expectedGradients, gradient)).toEqual([]);
  });
});

/** Calls with more states and taps than models usually have, and than a kernel may be made for. */
import type {OpCase, OpUnderTest} from '../opUnderTest';
import {anyOp} from '../opUnderTest';
import {convCase, convUpdateCase} from './causalConv1d';
import {scanCase} from './selectiveScan';
import {stateUpdateCase} from './selectiveStateUpdate';

export interface SizedCase {
  op: OpUnderTest;
  sizes: string;
  testCase: OpCase;
}

function last<Params>(op: OpUnderTest<Params>, sizes: Partial<Params>): SizedCase {
  const all = op.combinations[op.combinations.length - 1];
  return {op: anyOp(op), sizes: JSON.stringify(sizes), testCase: op.build({...all, ...sizes})};
}

const batch = 2;

/** Every optional input is there. */
export const sizedCases = (): SizedCase[] => [
  ...[80, 128].flatMap((dState) => [
    last(scanCase, {batch, length: 19, channels: 6, dState, formB: 'grouped', formC: 'sequence', deltaSoftplus: true}),
    last(scanCase, {batch, length: 5, channels: 3, dState, formB: 'constant', formC: 'constant'}),
    last(stateUpdateCase, {batch, channels: 6, dState}),
  ]),
  ...[9, 12].flatMap((width) => [
    last(convCase, {batch, length: 21, channels: 5, width, hasInitialState: true, activation: 'silu'}),
    last(convCase, {batch, length: 4, channels: 8, width, hasInitialState: true}), // shorter than the window
    last(convUpdateCase, {batch, channels: 5, width}),
  ]),
];

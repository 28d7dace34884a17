/** The arithmetic of packed weights. Who makes some imports this file; a program without any goes without it. */
import {packedLinear} from '../ops/packedLinear';
import {lookUpRows, unpackRows} from '../ops/unpackRows';
import type {PackedArithmetic} from './baseWeight';
import {definePacked} from './baseWeight';

const arithmetic: PackedArithmetic = {
  linear: ({x, weight: {words, scales}, bias}) => packedLinear({x, words, scales, bias}),
  embedding: ({ids, weight: {words, scales}}) => lookUpRows({words, scales, ids}),
  unpack: ({words, scales}) => unpackRows({words, scales}),
};

/** Makes packed weights known to products and look-ups. */
export function usePackedWeights(): void {
  definePacked(arithmetic);
}

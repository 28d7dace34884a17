/** The arithmetic of packed weights. Who makes some imports this file; a program without any goes without it. */
import {packedLinear} from '../ops/packedLinear';
import {lookUpRows, unpackRows} from '../ops/unpackRows';
import {defineForm} from './forms';

/** Makes packed weights known to products and look-ups. */
export function usePackedWeights(): void {
  defineForm('packed', {
    linear: ({x, weight: {words, scales}, bias}) => packedLinear({x, words, scales, bias}),
    embedding: ({ids, weight: {words, scales}}) => lookUpRows({words, scales, ids}),
    value: ({words, scales}, isTable) => {
      const rows = unpackRows({words, scales});
      return isTable ? rows : rows.transpose();
    },
  });
}

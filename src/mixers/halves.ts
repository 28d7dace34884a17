/** The arithmetic of weights of 16 bits. It comes with the kernels (src/kernels/tensorflow), for there are none elsewhere. */
import {halfLinear, lookUpHalves, unpackHalves} from '../ops/halves';
import {defineForm} from './forms';

defineForm('half', {
  linear: ({x, weight: {words}, bias}) => halfLinear({x, words, bias}),
  embedding: ({ids, weight: {words}}) => lookUpHalves({words, ids}),
  value: ({words}, isTable) => {
    const rows = unpackHalves({words});
    return isTable ? rows : rows.transpose();
  },
});

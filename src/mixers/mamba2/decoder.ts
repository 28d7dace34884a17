/** A stack of blocks opened for decoding, on TensorFlow. It comes with the kernels of a language model (src/kernels/tensorflow). */
import {openNativeDecoder} from '../../ops/decoder/native';
import {mamba2BlockInputs} from '../../ops/mamba2Step/kernels';
import {nativeMamba2StepAttrs} from '../../ops/mamba2Step/tensorflow';
import {kernelBlocks} from '../fusedInputs';
import {inputNames, stepAttrs} from './fused';
import {mamba2} from './index';

mamba2.openBlocks = (blocks, states, ends) => {
  const inputs = kernelBlocks(blocks, states, inputNames);
  if (inputs === undefined) return undefined;
  const attrs = nativeMamba2StepAttrs(stepAttrs(blocks));
  return openNativeDecoder({
    op: 'TfjsMambaMamba2StepDecoder',
    order: mamba2BlockInputs,
    attrs,
    ends,
    blocks: inputs,
    states,
  });
};

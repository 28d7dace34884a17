/** A stack of blocks opened for decoding, on TensorFlow. It comes with the kernels of a language model (src/kernels/tensorflow). */
import {openNativeDecoder} from '../../ops/decoder/native';
import {blockInputs} from '../../ops/mambaStep/kernels';
import {nativeStepAttrs} from '../../ops/mambaStep/tensorflow';
import {kernelBlocks} from '../fusedInputs';
import {inputNames, stepAttrs} from './fused';
import {mamba1} from './index';

mamba1.openBlocks = (blocks, states, ends) => {
  const inputs = kernelBlocks(blocks, states, inputNames);
  if (inputs === undefined) return undefined;
  const attrs = nativeStepAttrs(stepAttrs(blocks));
  return openNativeDecoder({op: 'TfjsMambaStepDecoder', order: blockInputs, attrs, ends, blocks: inputs, states});
};

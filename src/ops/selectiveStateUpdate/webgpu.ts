/** One step of the selective scan on WebGPU: the scan at length 1, whose new state is a tensor of its own. */
import type {TensorInfo} from '@tensorflow/tfjs';
import {registerWebGPUKernel} from '../../backends/webgpu';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import type {ScanTensors} from '../selectiveScan/webgpu';
import {scanForward} from '../selectiveScan/webgpu';
import type {StateUpdateAttrs, StateUpdateInput} from './kernels';

registerWebGPUKernel('SelectiveStateUpdate', (gpu, inputs, attrs: StateUpdateAttrs & PresentAttr) => {
  const {state, ...tensors} = byName<StateUpdateInput, TensorInfo>(inputs, attrs.present);
  const [batch, channels] = tensors.u!.shape;
  const scan = {...tensors, initialState: state} as ScanTensors;
  return scanForward(gpu, scan, [batch, 1, channels], {deltaSoftplus: attrs.deltaSoftplus, keepStates: false});
});

/** Unpacking over typed arrays, for `cpu` and `wasm`: the words are read as the bytes that they are made of. */
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import {GROUP} from './kernels';

registerTypedArrayKernel({
  kernelName: 'UnpackRows',
  outputs: ([, {shape}]) => [{shape: [...shape.slice(0, -1), GROUP * shape[shape.length - 1]]}],
  compute: ([words, scales], [rows]) => {
    const {buffer, byteOffset, byteLength} = words.values;
    const integers = new Int8Array(buffer, byteOffset, byteLength);
    const out = rows.values;
    for (let group = 0; group < scales.values.length; group++) {
      const scale = scales.values[group];
      for (let at = GROUP * group; at < GROUP * (group + 1); at++) out[at] = integers[at] * scale;
    }
  },
});

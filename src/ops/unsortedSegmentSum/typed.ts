/**
 * TensorFlow.js's own kernel UnsortedSegmentSum, which its wasm backend lacks: the gradient of `tf.gather`, without which no embedding
 * trains there.
 */
import {registerTypedArrayKernel} from '../../backends/typedArrays';

registerTypedArrayKernel(
  {
    kernelName: 'UnsortedSegmentSum',
    outputs: ([x], {numSegments}: {numSegments: number}) => ({shape: [numSegments, ...x.shape.slice(1)]}),
    compute: ([x, segmentIds], [out], {numSegments}: {numSegments: number}) => {
      const width = out.values.length / numSegments;
      out.values.fill(0);
      segmentIds.values.forEach((segment, row) => {
        // As tf.unsortedSegmentSum has it, rows of a negative segment are dropped.
        for (let k = 0; segment >= 0 && segment < numSegments && k < width; k++) {
          out.values[segment * width + k] += x.values[row * width + k];
        }
      });
    },
  },
  ['wasm'],
);

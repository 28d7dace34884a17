/**
 * AdamW and the global norm on WebGPU: one dispatch per variable for the first, whose eight tensors are just what a shader may bind, and one
 * per seven for the second. Learning rate and step are uniforms, so nothing is compiled or uploaded anew when they change.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, write} from '../../backends/webgpuProgram';
import {workgroupSumWgsl} from '../wgsl';
import type {AdamWAttrs, ClipScaleAttrs, UnpackFlatAttrs} from './kernels';

const WIDTH = 128;
/** Workgroups that share the squares of a tensor. */
const PARTS = 64;

const update = defineProgram({
  name: 'AdamW',
  variants: [{}],
  build: () => ({
    buffers: {param: read, grad: read, m: read, v: read, gradScale: read, newParam: write, newM: write, newV: write},
    uniforms: {
      size: 'u32',
      beta1: 'f32',
      beta2: 'f32',
      rest1: 'f32',
      rest2: 'f32',
      epsilon: 'f32',
      kept: 'f32',
      stepSize: 'f32',
      correction: 'f32',
    },
    main: `
  let g = grad[i] * gradScale[0];
  let first = p.beta1 * m[i] + p.rest1 * g;
  let second = p.beta2 * v[i] + p.rest2 * g * g;
  newM[i] = first;
  newV[i] = second;
  newParam[i] = p.kept * param[i] - p.stepSize * first / (sqrt(second) * p.correction + p.epsilon);`,
  }),
});

/** So many tensors, beside what is written, are all that a shader may bind on every device. */
const TOGETHER = 7;

/** The places of tensors that are bound together, and something for each of them by name and place. */
function numbered(count: number) {
  const each = Array.from({length: count}, (_, i) => i);
  const named = <T>(name: string, value: T) => Object.fromEntries(each.map((i) => [`${name}${i}`, value] as const));
  return {each, named};
}

/**
 * Tensors with something in them, in groups of {@link TOGETHER}. Each tensor has `partsOf` it parts: `first` of a group is the count of those
 * before it, and `end` of a tensor counts from there.
 */
function* groupsOf(tensors: TensorInfo[], partsOf: (x: TensorInfo) => number) {
  const filled = tensors.filter(({shape}) => !shape.includes(0));
  let first = 0;
  for (let at = 0; at < filled.length; at += TOGETHER) {
    const some = filled.slice(at, at + TOGETHER);
    const buffers: Record<string, TensorInfo> = {};
    const uniforms: Record<string, number> = {first};
    let parts = 0;
    some.forEach((x, i) => {
      buffers[`x${i}`] = x;
      uniforms[`end${i}`] = parts += partsOf(x);
    });
    yield {some, buffers, uniforms, parts};
    first += parts;
  }
}

/** The squares of some tensors, those of each added into as many places as it has workgroups, of which there are PARTS at most. */
const squares = defineProgram({
  name: 'GlobalNorm (squares)',
  variants: Array.from({length: TOGETHER}, (_, i) => ({count: i + 1})),
  build: ({count}) => {
    const {each, named} = numbered(count);
    const branch = (i: number) => `if (group < p.end${i}) {
    let own = group${i > 0 ? ` - p.end${i - 1}` : ''};
    for (var i = own * ${WIDTH}u + lane; i < p.size${i}; i += ${WIDTH * PARTS}u) { sum += x${i}[i] * x${i}[i]; }
  }`;
    return {
      buffers: {...named('x', read), parts: write},
      uniforms: {first: 'u32', ...named('size', 'u32' as const), ...named('end', 'u32' as const)},
      workgroupSize: WIDTH,
      declarations: workgroupSumWgsl(WIDTH),
      main: `
  var sum = 0.0;
  ${each.map(branch).join(' else ')}
  let total = workgroupSum(sum, lane);
  if (lane == 0u) { parts[p.first + group] = total; }`,
    };
  },
});

const root = defineProgram({
  name: 'GlobalNorm',
  variants: [{}],
  build: () => ({
    buffers: {parts: read, norm: write},
    uniforms: {size: 'u32'},
    workgroupSize: WIDTH,
    declarations: workgroupSumWgsl(WIDTH),
    main: `
  var sum = 0.0;
  for (var i = lane; i < p.size; i += ${WIDTH}u) { sum += parts[i]; }
  let total = workgroupSum(sum, lane);
  if (lane == 0u) { norm[0] = sqrt(total); }`,
  }),
});

/** A norm that is NaN gives NaN. */
const clip = defineProgram({
  name: 'ClipScale',
  variants: [{}],
  build: () => ({
    buffers: {norm: read, scale: write},
    uniforms: {size: 'u32', maxNorm: 'f32'},
    main: `
  let ratio = p.maxNorm / (norm[i] + 1e-6);
  scale[i] = select(ratio, 1.0, ratio > 1.0);`,
  }),
});

/** Some tensors into a flat one from `first` on, or out of it; `ends` count from there. */
const move = defineProgram<{count: number; out: boolean}>({
  name: 'PackFlat, UnpackFlat',
  variants: combinations({count: Array.from({length: TOGETHER}, (_, i) => i + 1), out: [false, true]}),
  build: ({count, out}) => {
    const {each, named} = numbered(count);
    const branch = (i: number) => {
      const own = `x${i}[i${i > 0 ? ` - p.end${i - 1}` : ''}]`;
      const [to, from] = out ? [own, 'flat[p.first + i]'] : ['flat[p.first + i]', own];
      return `if (i < p.end${i}) { ${to} = ${from}; }`;
    };
    return {
      buffers: {...named('x', out ? write : read), flat: out ? read : write},
      uniforms: {first: 'u32', ...named('end', 'u32' as const)},
      workgroupSize: 64,
      main: `
  let i = group * 64u + lane;
  ${each.map(branch).join(' else ')}`,
    };
  },
});

/** Between a flat tensor and its parts. */
function moveAll(gpu: Gpu, flat: TensorInfo, tensors: TensorInfo[], out: boolean): void {
  for (const {some, buffers, uniforms, parts} of groupsOf(tensors, ({shape}) => sizeOf(shape))) {
    gpu.run(
      move,
      {count: some.length, out},
      {buffers: {...buffers, flat}, uniforms, workgroups: Math.ceil(parts / 64)},
    );
  }
}

registerWebGPUKernel('PackFlat', (gpu, tensors: TensorInfo[]) => {
  const flat = gpu.output([tensors.reduce((sum, {shape}) => sum + sizeOf(shape), 0)]);
  moveAll(gpu, flat, tensors, false);
  return [flat];
});

registerWebGPUKernel('UnpackFlat', (gpu, [flat], {shapes}: UnpackFlatAttrs) => {
  const tensors = shapes.map((shape) => gpu.output(shape));
  moveAll(gpu, flat, tensors, true);
  return tensors;
});

registerWebGPUKernel('AdamW', (gpu, inputs, attrs: AdamWAttrs) => {
  const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs;
  const count = weightDecay.length;
  const gradScale = inputs[4 * count];
  const list = (i: number) => inputs.slice(i * count, (i + 1) * count);
  const [params, grads, ms, vs] = [0, 1, 2, 3].map(list);
  const outputs = [0, 1, 2].map(() => params.map(({shape}) => gpu.output(shape)));
  params.forEach((param, i) => {
    const size = sizeOf(param.shape);
    if (size === 0) return;
    gpu.run(
      update,
      {},
      {
        buffers: {
          param,
          grad: grads[i],
          m: ms[i],
          v: vs[i],
          gradScale,
          newParam: outputs[0][i],
          newM: outputs[1][i],
          newV: outputs[2][i],
        },
        uniforms: {
          size,
          beta1,
          beta2,
          rest1: 1 - beta1,
          rest2: 1 - beta2,
          epsilon,
          kept: 1 - learningRate * weightDecay[i],
          stepSize: learningRate / (1 - beta1 ** step),
          correction: 1 / Math.sqrt(1 - beta2 ** step),
        },
      },
    );
  });
  return outputs.flat();
});

registerWebGPUKernel('GlobalNorm', (gpu, tensors: TensorInfo[]) => {
  const norm = gpu.output([]);
  const workgroupsOf = ({shape}: TensorInfo) => Math.min(PARTS, Math.ceil(sizeOf(shape) / WIDTH));
  const size = tensors.reduce((sum, x) => sum + workgroupsOf(x), 0);
  const parts = gpu.scratch(Math.max(size, 1));
  for (const {some, buffers, uniforms, parts: workgroups} of groupsOf(tensors, workgroupsOf)) {
    some.forEach(({shape}, i) => (uniforms[`size${i}`] = sizeOf(shape)));
    gpu.run(squares, {count: some.length}, {buffers: {...buffers, parts}, uniforms, workgroups});
  }
  gpu.run(root, {}, {buffers: {parts, norm}, uniforms: {size}, workgroups: 1});
  return [norm];
});

registerWebGPUKernel('ClipScale', (gpu, [norm]: TensorInfo[], {maxNorm}: ClipScaleAttrs) => {
  const scale = gpu.output([]);
  gpu.run(clip, {}, {buffers: {norm, scale}, uniforms: {size: 1, maxNorm}});
  return [scale];
});

/**
 * One token through a stack of blocks on `wasm`: the SIMD functions of the ops that a block is made of, called one after the other on scratch. The
 * arithmetic is theirs; what it saves is a dozen tensors a block, and exp(ALog) as TensorFlow.js does it, number by number.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {lm} from '../../backends/wasm/binaries/lm';
import {mamba} from '../../backends/wasm/binaries/mamba';
import {shared} from '../../backends/wasm/binaries/shared';
import type {WasmBackend} from '../../backends/wasm/heap';
import {makeOutputs, operandOf} from '../../backends/wasm/heap';
import {hasSimd, simdFor} from '../../backends/wasm/simd';
import type {PresentAttr} from '../kernel';
import {registerArrayKernel} from '../kernel';
import type {BlockInput, StepAttrs} from './kernels';
import {blocksOf} from './kernels';

const FLOAT = 4;
/** What product.ts and stateUpdate.ts have in scratch, in floats. */
const [PANELS, VECTORS] = [256 * (256 + 4), 12];

// Without SIMD there is no such kernel, and the ops run one by one.
if (hasSimd()) {
  registerArrayKernel('MambaStep', 'wasm', ({inputs, backend, attrs}) => {
    const heap = backend as WasmBackend;
    const simds = [shared, mamba, lm].map((binary) => simdFor(heap.wasm, binary));
    if (simds.includes(undefined)) throw new Error('MambaStep: wasm has no SIMD kernels here');
    const {epsilon, mixerEpsilon, present} = attrs as unknown as StepAttrs & PresentAttr;
    const blocks = blocksOf<TensorInfo>(inputs, present);
    const shapes = ['conv', 'ssm'].flatMap((name) => blocks.map((block) => block[name as 'conv' | 'ssm'].shape));
    const specs = [inputs[0].shape, ...shapes].map((shape) => ({shape}));
    const results = makeOutputs(heap, 'MambaStep', inputs, specs);
    const at = (info?: TensorInfo) => (info && operandOf(heap, info).at) ?? 0;

    const [batch, width] = inputs[0].shape;
    const [inner, states] = blocks[0].ALog.shape;
    const [rank] = blocks[0].dtProj.shape;
    const kernel = blocks[0].convWeight.shape[1];
    const rows = {x: 2 * width, y: width, out: width, xz: 2 * inner, u: inner, parts: rank + 2 * states, delta: inner};
    const sizes = Object.entries(rows).map(([name, size]) => [name, batch * size] as const);
    const all = [...sizes, ['A', inner * states], ['taps', kernel * inner], ['ones', Math.max(rank, states)]] as const;
    const total = all.reduce((sum, [, size]) => sum + size, PANELS + VECTORS);
    const [common, own, extra] = simds.map((simd) => simd!);
    const {product, rmsNorm, causalConv1d} = common.functions;

    common.withScratch(total * FLOAT, (begin) => {
      let free = begin + (PANELS + VECTORS) * FLOAT;
      const place = Object.fromEntries(
        all.map(([name, size]) => {
          const here = free;
          free += size * FLOAT;
          return [name, here];
        }),
      );
      /** y = x·weight[:, from … from+columns-1] + bias, for x [batch,depth]. */
      const part = (x: number, weight: TensorInfo, bias: number, y: number, from: number, columns: number) => {
        const [depth, outer] = weight.shape;
        const [start, ownBias] = [at(weight) + from * FLOAT, bias && bias + from * FLOAT];
        product(...[x, depth, 1, start, outer, 1, ownBias, y, begin, batch, columns, depth]);
      };
      /** The columns of x·weight + bias in groups, each group dense; of one row they are that in any case. */
      const parts = (x: number, weight: TensorInfo, bias: number, y: number, widths: number[]): number[] => {
        if (batch === 1) part(x, weight, bias, y, 0, weight.shape[1]);
        let from = 0;
        return widths.map((columns) => {
          const to = y + batch * from * FLOAT;
          if (batch > 1) part(x, weight, bias, to, from, columns);
          from += columns;
          return to;
        });
      };
      const numbers = (from: number, size: number) => new Float32Array(heap.wasm.HEAPU8.buffer, from, size);
      numbers(place.ones, Math.max(rank, states)).fill(1);

      const sums = [place.x, place.x + batch * width * FLOAT];
      let x = at(inputs[0]);
      blocks.forEach((block, i) => {
        const get = (name: BlockInput) => at(block[name]);
        const [conv, ssm] = [results[1 + i], results[1 + blocks.length + i]].map(at);
        // Each block's norm adds what the block before gave.
        rmsNorm(x, get('normWeight'), i && place.out, place.y, sums[i % 2], batch, width, epsilon);
        if (i) x = sums[i % 2];
        const [xs, z] = parts(place.y, block.inProj, get('inProjBias'), place.xz, [inner, inner]);
        const shape = [batch, 1, inner, kernel, 1];
        causalConv1d(...[xs, get('convWeight'), get('convBias'), get('conv'), 0, place.u, conv, place.taps, ...shape]);
        const selected = parts(place.u, block.xProj, 0, place.parts, [rank, states, states]);
        if (mixerEpsilon !== undefined) {
          selected.forEach((values, k) =>
            rmsNorm(values, place.ones, 0, values, 0, batch, k ? states : rank, mixerEpsilon),
          );
        }
        const [dt, B, C] = selected;
        part(dt, block.dtProj, 0, place.delta, 0, inner);
        extra.functions.decayRates(get('ALog'), place.A, inner * states);
        own.functions.selectiveStateUpdate(
          ...[get('ssm'), place.u, place.delta, place.A, B, C, get('D'), z, get('dtBias'), place.xz, ssm],
          ...[begin + PANELS * FLOAT, batch, inner, states, 1, 1, 1],
        );
        part(place.xz, block.outProj, get('outProjBias'), place.out, 0, width);
      });
      const [last, given, y] = [place.out, x, at(results[0])].map((from) => numbers(from, batch * width));
      y.set(last.map((value, k) => value + given[k]));
    });
    return results;
  });
}

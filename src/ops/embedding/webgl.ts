/**
 * The embedding on WebGL2. For the gradient every row of the table first finds the positions that have its id, as a chain in their order,
 * and then adds along it: nobody looks through all positions for each element of the table.
 */
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {registerArrayKernel} from '../kernel';
import type {EmbeddingAttrs} from './kernels';

const idAt = 'int idAt(int position) { return int(round(get_ids(position))); }';

const lookUpPass: Pass = {
  name: 'Embedding',
  inputs: ['weight', 'ids'],
  outputs: 1,
  ints: ['rows', 'channels'],
  declarations: idAt,
  main: `
  int id = idAt(index / channels);
  out_0 = id >= 0 && id < rows ? get_weight(id * channels + index % channels) : 0.;`,
};

/** The first position of an id, or the number of positions; of each row of the table, or (AFTER 1) behind each position. */
const chainPass: Pass = {
  name: 'EmbeddingGrad (chains)',
  inputs: ['ids'],
  outputs: 1,
  ints: ['positions'],
  declarations: idAt,
  main: `
  int id = AFTER == 1 ? idAt(index) : index;
  int position = AFTER == 1 ? index + 1 : 0;
  while (position < positions && idAt(position) != id) position++;
  out_0 = float(position);`,
};

const sumPass: Pass = {
  name: 'EmbeddingGrad',
  inputs: ['first', 'next', 'dy'],
  outputs: 1,
  ints: ['positions', 'channels'],
  main: `
  float sum = 0.;
  for (int position = int(get_first(index / channels)); position < positions; position = int(get_next(position))) {
    sum += get_dy(position * channels + index % channels);
  }
  out_0 = sum;`,
};

const sizeOf = (shape: number[]) => shape.reduce((a, b) => a * b, 1);

registerArrayKernel('Embedding', 'webgl', ({inputs: [weight, ids], backend, attrs}) =>
  runPasses('embedding', backend, (kernel) => {
    const {rows} = attrs as unknown as EmbeddingAttrs;
    const channels = weight.shape[1];
    const y = kernel.output([...ids.shape, channels]);
    const ints = {rows, channels};
    kernel.draw(lookUpPass, {inputs: {weight, ids}, ints, count: sizeOf(y.shape), outputs: [y]});
    return [y];
  }),
);

registerArrayKernel('EmbeddingGrad', 'webgl', ({inputs: [ids, dy], backend, attrs}) =>
  runPasses('the gradient of embedding', backend, (kernel) => {
    const {rows} = attrs as unknown as EmbeddingAttrs;
    const channels = dy.shape[dy.shape.length - 1];
    const positions = sizeOf(ids.shape);
    const ints = {positions, channels};
    const first = kernel.temporary([rows]);
    const next = kernel.temporary([positions]);
    kernel.draw(chainPass, {inputs: {ids}, ints, flags: {AFTER: 0}, count: rows, outputs: [first]});
    kernel.draw(chainPass, {inputs: {ids}, ints, flags: {AFTER: 1}, count: positions, outputs: [next]});
    const dWeight = kernel.output([rows, channels]);
    kernel.draw(sumPass, {inputs: {first, next, dy}, ints, count: rows * channels, outputs: [dWeight]});
    return [dWeight];
  }),
);

/**
 * Several mixers in turn as one: each in a residual block of its own, norm included. Transformers are attention and a feed-forward, hybrids
 * any of them; the model, its files and its generation need to know of nothing else.
 */
import type * as tf from '@tensorflow/tfjs';
import type {AnyMixer, Mixer, State, Weights} from '../../src';
import {residualBlock} from '../../src/mixers/block';

/** The shape of a part of a state. */
type StateShape = Mixer['states'][string];

/**
 * @param name What configurations call the chain.
 * @param mixers Whose fields it has; no two may have one of the same name.
 */
export function chainOf(name: string, mixers: readonly AnyMixer[]): Mixer {
  const blocks = mixers.map((mixer) => residualBlock(mixer) as AnyMixer);
  const part = (all: object, i: number): never => {
    const own = Object.entries(all).filter(([key]) => key.startsWith(`${mixers[i].name}/`));
    return Object.fromEntries(own.map(([key, value]) => [key.slice(mixers[i].name.length + 1), value])) as never;
  };
  const named = <T>(all: Readonly<Record<string, T>>, i: number) =>
    Object.entries(all).map(([key, value]) => [`${mixers[i].name}/${key}`, value] as const);
  /** One block after the other, each from its part of the state. */
  const through = <T extends tf.Tensor>(
    x: T,
    state: State | undefined,
    go: (block: AnyMixer, i: number, x: T, state: State | undefined) => {y: T; state: State},
  ) => {
    const next: Array<readonly [string, tf.Tensor]> = [];
    let y = x;
    blocks.forEach((block, i) => {
      const result = go(block, i, y, state && part(state, i));
      next.push(...named(result.state, i));
      y = result.y;
    });
    return {y, state: Object.fromEntries(next)};
  };
  return {
    name,
    isBlock: true,
    fields: merged(mixers.map(({fields}) => fields)),
    check: (owner, given) => mixers.forEach((mixer) => mixer.check?.(owner, given)),
    configure: (owner, given, dModel) => merged(mixers.map((mixer) => mixer.configure(owner, given, dModel) as object)),
    weights: (config) =>
      blocks.flatMap((block, i) => {
        const prefix = mixers[i].name;
        return block.weights(config).map((spec) => {
          return {...spec, name: `${prefix}/${spec.name}`, published: `${prefix}.${spec.published}`};
        });
      }),
    states: Object.fromEntries<StateShape>(mixers.flatMap(({states}, i) => named<StateShape>(states, i))),
    lookBack: (config) => Math.max(...blocks.map((block) => block.lookBack(config))),
    run: (weights: Weights, config, x, state, context) =>
      through(x, state, (block, i, input, own) => block.run(part(weights, i), config, input, own, context)),
    step: (weights: Weights, config, x, state) =>
      through(x, state, (block, i, input, own) => block.step(part(weights, i), config, input, own!)),
  };
}

function merged<T extends object>(parts: readonly T[]): T {
  return Object.assign({}, ...parts) as T;
}

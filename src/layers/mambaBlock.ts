/** A Mamba block: x + Mamba(RMSNorm(x)), what a deep model stacks (state-spaces `block.py`, with the sum at the block's end). */
import * as tf from '@tensorflow/tfjs';
import {isRecording} from '../ops/kernel';
import {mambaStep} from '../ops/mambaStep';
import type {BlockInput, BlockInputs} from '../ops/mambaStep/kernels';
import {rmsNorm} from '../ops/rmsNorm';
import {ones} from './initializers';
import type {MambaLayerArgs} from './mamba';
import {Mamba} from './mamba';
import type {LayerState, MixerConfig, MixerWeights, WeightSpec} from './mixer';
import {mix, mixStep, mixerWeightSpecs} from './mixer';
import {checkPositiveNumber} from './options';

/** The options of a block: those of its mixer and of its norm. */
export interface MambaBlockArgs extends MambaLayerArgs {
  /** ε of the norm (1e-5). */
  epsilon?: number;
}

/** The layer; inputs, outputs, states and masks as those of {@link Mamba}. */
export class MambaBlock extends Mamba {
  static override className = 'MambaBlock';

  readonly epsilon: number;

  constructor(args: MambaBlockArgs = {}) {
    super(args);
    this.epsilon = args.epsilon ?? 1e-5;
    checkPositiveNumber(this.getClassName(), 'epsilon', this.epsilon);
  }

  protected override optionNames(): string[] {
    return [...super.optionNames(), 'epsilon'];
  }

  /** @internal */
  protected override weightSpecs(config: MixerConfig): WeightSpec[] {
    const mixer = mixerWeightSpecs(config, this.weightSeed);
    return [
      {name: 'norm/weight', shape: [config.dModel], initialize: ones},
      ...mixer.map((spec) => ({...spec, name: `mixer/${spec.name}`})),
    ];
  }

  private normalize<T extends tf.Tensor>(x: T): T {
    return rmsNorm({x, weight: this.weightValues('norm/').weight as tf.Tensor1D, epsilon: this.epsilon}).y as T;
  }

  private mixerWeights(): MixerWeights {
    return this.weightValues('mixer/') as MixerWeights;
  }

  override run(x: tf.Tensor3D, state?: LayerState, mask?: tf.Tensor): {y: tf.Tensor3D; state: LayerState} {
    return tf.tidy(() => {
      const mixed = mix(this.mixerWeights(), this.mixerConfig, this.normalize(x), state, mask);
      return {y: x.add<tf.Tensor3D>(mixed.y), state: mixed.state};
    });
  }

  override step(x: tf.Tensor2D, state: LayerState): {y: tf.Tensor2D; state: LayerState} {
    this.checkStep(x, state);
    const {y, states} = stepBlocks([this], x, [state]);
    return {y, state: states[0]};
  }

  /** @internal The step made of ops with gradients. */
  differentiableStep(x: tf.Tensor2D, state: LayerState): {y: tf.Tensor2D; state: LayerState} {
    return tf.tidy(() => {
      const mixed = mixStep(this.mixerWeights(), this.mixerConfig, this.normalize(x), state);
      return {y: x.add<tf.Tensor2D>(mixed.y), state: mixed.state};
    });
  }

  /** @internal What the fused step reads of this block. */
  fusedInputs({conv, ssm}: LayerState): BlockInputs {
    const values: BlockInputs = {conv, ssm} as BlockInputs;
    for (const [weight, input] of Object.entries(fusedNames)) {
      const variable = this.variables.get(weight);
      if (variable) values[input] = variable.read();
    }
    return values;
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), epsilon: this.epsilon};
  }
}
tf.serialization.registerClass(MambaBlock);

/** What the op of a step calls the weights of a block. */
const fusedNames: Record<string, BlockInput> = {
  'norm/weight': 'normWeight',
  'mixer/inProj/kernel': 'inProj',
  'mixer/inProj/bias': 'inProjBias',
  'mixer/conv/weight': 'convWeight',
  'mixer/conv/bias': 'convBias',
  'mixer/xProj/kernel': 'xProj',
  'mixer/dtProj/kernel': 'dtProj',
  'mixer/dtProj/bias': 'dtBias',
  'mixer/ALog': 'ALog',
  'mixer/D': 'D',
  'mixer/outProj/kernel': 'outProj',
  'mixer/outProj/bias': 'outProjBias',
};

/**
 * One position through a stack of blocks of one shape: x [B,dModel] and a state for each block → y of the shape of x and the next
 * states. One op for all of them, unless a gradient is wanted: the fused step has none.
 */
export function stepBlocks(
  blocks: readonly MambaBlock[],
  x: tf.Tensor2D,
  states: readonly LayerState[],
): {y: tf.Tensor2D; states: LayerState[]} {
  if (!isRecording()) {
    const [{epsilon}] = blocks;
    return mambaStep({x, blocks: blocks.map((block, i) => block.fusedInputs(states[i])), epsilon});
  }
  let y = x;
  const next = blocks.map((block, i) => {
    const result = block.differentiableStep(y, states[i]);
    y = result.y;
    return result.state;
  });
  return {y, states: next};
}

/** A Mamba block: x + Mamba(RMSNorm(x)), what a deep model stacks (state-spaces `block.py`, with the sum at the block's end). */
import * as tf from '@tensorflow/tfjs';
import {isRecording} from '../ops/kernel';
import {mambaStep} from '../ops/mambaStep';
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

  private fusedStep(x: tf.Tensor2D, {conv, ssm}: LayerState): {y: tf.Tensor2D; state: LayerState} {
    const weights = this.mixerWeights();
    const next = mambaStep({
      x,
      conv,
      ssm,
      normWeight: this.weightValues('norm/').weight,
      inProj: weights['inProj/kernel'],
      inProjBias: weights['inProj/bias'],
      convWeight: weights['conv/weight'],
      convBias: weights['conv/bias'],
      xProj: weights['xProj/kernel'],
      dtProj: weights['dtProj/kernel'],
      dtBias: weights['dtProj/bias'],
      ALog: weights.ALog,
      D: weights.D,
      outProj: weights['outProj/kernel'],
      outProjBias: weights['outProj/bias'],
      epsilon: this.epsilon,
    });
    return {y: next.y, state: {conv: next.conv, ssm: next.ssm}};
  }

  override step(x: tf.Tensor2D, state: LayerState): {y: tf.Tensor2D; state: LayerState} {
    this.checkStep(x, state);
    return tf.tidy(() => {
      // The fused step has no gradient.
      if (!isRecording()) return this.fusedStep(x, state);
      const mixed = mixStep(this.mixerWeights(), this.mixerConfig, this.normalize(x), state);
      return {y: x.add<tf.Tensor2D>(mixed.y), state: mixed.state};
    });
  }

  override getConfig(): tf.serialization.ConfigDict {
    return {...super.getConfig(), epsilon: this.epsilon};
  }
}
tf.serialization.registerClass(MambaBlock);

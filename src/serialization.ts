/**
 * Registers every class that `tf.loadLayersModel` may meet, for programs that name none of them. Each registers itself in its own file
 * too, which is what a bundler keeps of a program that names some.
 */
import * as tf from '@tensorflow/tfjs';
import {CausalConv1D} from './layers/causalConv1d';
import {LastToken} from './layers/lastToken';
import {Mamba} from './layers/mamba';
import {Mamba2, Mamba2Block} from './layers/mamba2';
import {MambaBlock} from './layers/mambaBlock';
import {MixerBlock} from './layers/mixerBlock';
import {RMSNormalization} from './layers/rmsNormalization';
import {LanguageHead, TokenEmbedding} from './layers/tokenEmbedding';
import {MambaLM} from './lm/model';
import {AdamW} from './training/adamW';

tf.serialization.registerClass(AdamW);
tf.serialization.registerClass(CausalConv1D);
tf.serialization.registerClass(LanguageHead);
tf.serialization.registerClass(LastToken);
tf.serialization.registerClass(Mamba);
tf.serialization.registerClass(Mamba2);
tf.serialization.registerClass(Mamba2Block);
tf.serialization.registerClass(MambaBlock);
tf.serialization.registerClass(MambaLM);
tf.serialization.registerClass(MixerBlock);
tf.serialization.registerClass(RMSNormalization);
tf.serialization.registerClass(TokenEmbedding);

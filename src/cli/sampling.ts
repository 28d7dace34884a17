/** The flags of the commands that write: how the next token is chosen, called as those of mlx_lm.generate. */
import type {Command} from 'commander';
import {above0, fraction, natural, nonNegative, option, positive, share} from './flags';

export interface SamplingFlags {
  maxTokens: number;
  temp: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  seed?: number;
}

export function withSampling(command: Command): Command {
  return command
    .addOption(option('-m, --max-tokens <n>', 'tokens at most', positive).default(256))
    .addOption(option('--temp <x>', 'temperature; 0 takes the likeliest token', nonNegative).default(0.8))
    .addOption(option('--top-k <n>', 'only so many of the likeliest tokens', positive, 'all'))
    .addOption(option('--top-p <share>', 'the likeliest tokens that together have this probability', share, 'all'))
    .addOption(option('--min-p <share>', 'tokens at least this fraction as likely as the likeliest', fraction, 'all'))
    .addOption(option('--repetition-penalty <x>', 'above 1 makes what has occurred less likely', above0, 'none'))
    .addOption(option('--seed <n>', 'the same text every time', natural, 'another each time'));
}

/** The flags as the library calls them. */
export function samplingOptions({maxTokens, temp, topK, topP, minP, repetitionPenalty, seed}: SamplingFlags) {
  return {maxNewTokens: maxTokens, temperature: temp, topK, topP, minP, repetitionPenalty, seed};
}

/** The mixers that configurations can name. A new one is a folder beside these and a line here. */
import {checkMixer} from './checkMixer';
import {mamba1} from './mamba1';
import {mamba2} from './mamba2';
import type {AnyMixer} from './mixer';

const mixers = new Map<string, AnyMixer>([mamba1, mamba2].map((mixer: AnyMixer) => [mixer.name, mixer]));

/**
 * Makes a mixer of one's own known by its name, for `mambaLM({mixer: 'name', …})` and for checkpoints of such models.
 *
 * @throws Error if another mixer has that name, or naming the part of this one that will not do.
 */
export function registerMixer(mixer: AnyMixer): void {
  checkMixer(mixer, mixers.values());
  mixers.set(mixer.name, mixer);
}

/** Every mixer that is known. */
export function knownMixers(): AnyMixer[] {
  return [...mixers.values()];
}

/** @throws Error that lists the names there are. */
export function mixerNamed(name: string): AnyMixer {
  const mixer = mixers.get(name);
  if (mixer !== undefined) return mixer;
  throw new Error(`there is no mixer ${JSON.stringify(name)}; known are ${[...mixers.keys()].join(', ')}`);
}

/** The mixer of a model's configuration; where none is named it is Mamba-1. */
export function mixerOf({mixer = mamba1.name}: {mixer?: string}): AnyMixer {
  return mixerNamed(mixer);
}

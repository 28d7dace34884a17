/**
 * The data step: two sets of series with classes, in the text format `.ts` of the UEA and UCR archives (timeseriesclassification.com), as
 * the repository of sktime carries them (BSD 3-clause), with their official splits.
 */
import type {SourceFile} from '../support/sources';
import {sourceFile} from '../support/sources';
import type {Scale, Series} from './series';
import {parseSeries, scaled, scaleOf} from './series';

export interface SeriesSet {
  training: Series[];
  test: Series[];
  /** What the values were brought to, by channel. */
  scales: Scale[];
}

const commit = '7bd7d1620c0656f3210eeb850bb1c0034159ee47';
const file = (set: string, part: string, sha256: string): SourceFile => ({
  name: `${set}_${part}.ts`,
  url: `https://raw.githubusercontent.com/sktime/sktime/${commit}/sktime/datasets/data/${set}/${set}_${part}.ts`,
  sha256,
});

/** The files of each set: training and test. */
export const sets = {
  /** Kudo, Toyama & Shimbo 1999: nine speakers say /ae/, 12 LPC cepstrum coefficients in 7 to 29 frames; 270 and 370 of them. */
  vowels: [
    file('JapaneseVowels', 'TRAIN', '68a430eabd919cc77f40b1f5f3bc0dcafacc1486bca9260785aeb7d262cc78cd'),
    file('JapaneseVowels', 'TEST', 'b3d41d6a0ca3bcad3afb9ca7d4365382aa51341e2e58bae2a574babdda5b9462'),
  ],
  /** Gisler et al. 2013: the power that ten kinds of appliances take, 1,460 values each; 100 and 100 of them. */
  acsf1: [
    file('ACSF1', 'TRAIN', '0646b90dc4843e02baed6b2ba345c5601a4991b6796565489cef1b2d92a7537b'),
    file('ACSF1', 'TEST', '93e8aaeb44a10af181d24a156e60da7021193cd990ca28f263fccf3b905bfebf'),
  ],
} satisfies Record<string, [SourceFile, SourceFile]>;

export type SetName = keyof typeof sets;

/**
 * A set, whose channels are brought to mean 0 and deviation 1 over the training part.
 *
 * @param folder Of the files; fetched if left out.
 */
export async function readSet(name: SetName, folder?: string): Promise<SeriesSet> {
  const [training, test] = await Promise.all(
    sets[name].map(async (source) => {
      return parseSeries(new TextDecoder().decode(await sourceFile(source, folder)), source.name);
    }),
  );
  const scales = training[0].channels.map((_, channel) => {
    return scaleOf(training.flatMap(({channels}) => [...channels[channel]]));
  });
  return {training: scaled(training, scales), test: scaled(test, scales), scales};
}

/** What the writer trains on, is chosen by and is measured on. */
import {existsSync} from 'node:fs';
import {readdir, readFile} from 'node:fs/promises';
import {UsageError} from '../support/job';
import {playText, shares, tellingLines} from './plays';

/** Chosen by, and so not trained on. */
const VALIDATION = 't_night.xml';

export interface WriterText {
  /** The first nine tenths of Tiny Shakespeare, and the plays that it has nothing of. */
  training: string;
  validation: string;
  /** The last tenth of Tiny Shakespeare, as the main job holds it out. */
  heldOut: string;
  /** How many plays there are beside it. */
  plays: number;
  /** The characters of all, in order. */
  characters: string[];
}

const corpusFile = new URL('../data/tinyshakespeare.txt', import.meta.url);

/** @param folder The plays as `*.xml`; one more file of them than those that the corpus has. */
export async function writerText(folder: string): Promise<WriterText> {
  if (!existsSync(`${folder}/${VALIDATION}`)) {
    throw new UsageError(`--data must be a folder of Jon Bosak's plays as XML, but ${folder} has no ${VALIDATION}`);
  }
  const corpus = await readFile(corpusFile, 'utf8');
  const characters = [...new Set(corpus)].sort();
  const alphabet = new Set(characters);
  const known = tellingLines(corpus);
  const training = [corpus.slice(0, Math.floor(corpus.length * 0.9))];
  let validation = '';
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.xml')).sort()) {
    const text = playText(await readFile(`${folder}/${file}`, 'latin1'), alphabet);
    if (shares(text, known)) continue;
    if (file === VALIDATION) validation = text;
    else training.push(text);
  }
  return {
    ...{training: training.join('\n'), validation, plays: training.length - 1, characters},
    heldOut: corpus.slice(Math.floor(corpus.length * 0.9)),
  };
}

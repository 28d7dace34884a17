/**
 * Shakespeare's plays in Jon Bosak's XML, as the corpus of `data/` has them: who speaks, a colon, the lines, an empty line. Those of which
 * the corpus has a part are left out, so that nothing that a model is measured on, nor anything near it, is ever trained on.
 */

/** Lines shorter than this may stand in two plays by chance. */
const TELLING = 20;

/** The text of a play. What the corpus has no character for is left out. */
export function playText(xml: string, alphabet: ReadonlySet<string>): string {
  const inner = (text: string, tag: string) =>
    [...text.matchAll(new RegExp(`<${tag}>(.*?)</${tag}>`, 'gs'))].map(([, content]) => content);
  const plain = (text: string) =>
    [...text.replace(/<STAGEDIR>.*?<\/STAGEDIR>/gs, '').replaceAll('&amp;', '&')]
      .filter((c) => alphabet.has(c))
      .join('')
      .trim();
  const speeches = inner(xml, 'SPEECH').map((speech) => {
    const lines = inner(speech, 'LINE').map(plain);
    return `${plain(inner(speech, 'SPEAKER')[0])}:\n${lines.filter((line) => line !== '').join('\n')}\n`;
  });
  return speeches.join('\n');
}

/** Whether a play and the corpus have lines in common, more than a quotation or two. */
export function shares(play: string, corpus: ReadonlySet<string>): boolean {
  const lines = play.split('\n').filter((line) => line.length >= TELLING);
  return lines.filter((line) => corpus.has(line)).length > lines.length / 200;
}

/** The lines of a text that tell which play they are of. */
export const tellingLines = (text: string): Set<string> =>
  new Set(text.split('\n').filter((line) => line.length >= TELLING));

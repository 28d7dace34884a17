/**
 * A plugin of the build that leaves out of the sources of shaders what no GPU needs, and no minifier of JavaScript looks into: comments,
 * indentation and the spaces between signs; and from programs the list of their variants, which only the specs go through. Every line stays
 * where it is, and with it what source maps say.
 */

/** The files whose template literals are WGSL or GLSL. */
const hasShaders = /(webgpu|webgl|wgsl)[^?]*\.ts$/i;

/**
 * A piece of a template literal. A comment that reaches up to a value goes on behind it, so it stays.
 * @param {string} text
 */
const shortened = (text) => text.replace(/[ \t]*\/\/.*(?=\n)/g, '').replace(/\n[ \t]+/g, '\n');

/**
 * Without the spaces around signs, and around a minus between two values, since two of them must stay apart; but not in the lines of
 * GLSL's preprocessor.
 * @param {string} text
 */
const squeezed = (text) =>
  text.replace(/^(?!#).*$/gm, (line) =>
    line.replace(/ *([+*/=<>,;:{}()&|?]) */g, '$1').replace(/(?<=[\w)\]]) - (?=[\w(])/g, '-'),
  );

/** Code and no message: several lines, a statement or an assignment. */
const isCode = /\n|[;}]$| [-+*]?= /;

/** @param {string} code JavaScript @param {(code: string) => unknown} parse */
export function shortenTemplates(code, parse) {
  let result = '';
  let done = 0;
  for (const {start, end, text} of changes(parse(code), code).sort((a, b) => a.start - b.start)) {
    result += code.slice(done, start) + text;
    done = end;
  }
  return result + code.slice(done);
}

/** @returns {import('rollup').Plugin} */
export function shortShaders() {
  return {
    name: 'short-shaders',
    transform(code, id) {
      return hasShaders.test(id) ? {code: shortenTemplates(code, (text) => this.parse(text)), map: null} : undefined;
    },
  };
}

/** @typedef {{type: string; start: number; end: number; [field: string]: unknown}} Node */

/** What is to stand where, below a node.
 * @param {unknown} node @param {string} code
 * @returns {Array<{start: number; end: number; text: string}>}
 */
function changes(node, code) {
  if (typeof node !== 'object' || node === null) return [];
  const below = () => Object.values(node).flatMap((child) => changes(child, code));
  if (!('type' in node)) return below();
  const {type, start, end, ...rest} = /** @type {Node} */ (node);
  if (type === 'TemplateLiteral') {
    const quasis = /** @type {Node[]} */ (rest.quasis);
    const squeeze = isCode.test(code.slice(start + 1, end - 1));
    const pieces = quasis.map((quasi) => {
      const text = shortened(code.slice(quasi.start, quasi.end));
      return {start: quasi.start, end: quasi.end, text: squeeze ? squeezed(text) : text};
    });
    return [...pieces, ...changes(rest.expressions, code)];
  }
  if (type === 'Property' && /** @type {Node} */ (rest.key).name === 'variants') {
    const behind = code[end] === ',' ? end + 1 : end;
    return [{start, end: behind, text: code.slice(start, end).replace(/[^\n]/g, '')}]; // its lines stay
  }
  return below();
}

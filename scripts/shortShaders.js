/**
 * A plugin of the build that leaves out of the sources of shaders what no GPU needs, and no minifier of JavaScript looks into: comments,
 * indentation, the spaces between signs and the ends of lines behind statements; and from programs the list of their variants, which only
 * the specs go through. What follows a template stays in its line, and with it what source maps say.
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
    line.replace(/ *([+*/%=<>,;:{}()&|?]|-=) */g, '$1').replace(/(?<=[\w)\]]) - (?=[\w(])/g, '-'),
  );

/**
 * Without ends of lines behind statements and around brackets; but GLSL's preprocessor needs those in front of its lines, which a value may begin with.
 * @param {string} text @param {boolean} isWgsl
 */
const joined = (text, isWgsl) =>
  text.replace(isWgsl ? /(?<=[;{}(,])\n+|\n+(?=[})\]])/g : /(?<=[;{}])\n+(?=[^#\n])/g, '');

/** Code and no message: several lines, a statement or an assignment. */
const isCode = /\n|[;}]$| [-+*]?= /;

/** The same of an op's file, where there are no messages, but names: whatever has a sign between spaces. */
const isCodeOfOp = /^[^#]*( [-+*/%<>=&|?]+ |;$)/;

/** What is known of a file: whether its shaders are WGSL, and whether it is an op's. @typedef {{isWgsl: boolean; isOp: boolean}} Kind */

/** @param {string} code JavaScript @param {(code: string) => unknown} parse @param {Kind} kind */
export function shortenTemplates(code, parse, kind) {
  let result = '';
  let done = 0;
  for (const {start, end, text} of changes(parse(code), code, kind).sort((a, b) => a.start - b.start)) {
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
      if (!hasShaders.test(id)) return undefined;
      const kind = {isWgsl: !/webgl/i.test(id), isOp: /[\\/]ops[\\/]/.test(id)};
      return {code: shortenTemplates(code, (text) => this.parse(text), kind), map: null};
    },
  };
}

/** @typedef {{type: string; start: number; end: number; [field: string]: unknown}} Node */

/** What is to stand where, below a node.
 * @param {unknown} node @param {string} code @param {Kind} kind
 * @returns {Array<{start: number; end: number; text: string}>}
 */
function changes(node, code, kind) {
  if (typeof node !== 'object' || node === null) return [];
  const below = () => Object.values(node).flatMap((child) => changes(child, code, kind));
  if (!('type' in node)) return below();
  const {type, start, end, ...rest} = /** @type {Node} */ (node);
  if (type === 'TemplateLiteral') {
    const quasis = /** @type {Node[]} */ (rest.quasis);
    const text = code.slice(start + 1, end - 1);
    const squeeze = isCode.test(text) || (kind.isOp && (isCodeOfOp.test(text) || text.includes(', ')));
    const pieces = quasis.map((quasi) => {
      const text = shortened(code.slice(quasi.start, quasi.end));
      return {start: quasi.start, end: quasi.end, text: squeeze ? squeezed(text) : text};
    });
    const expressions = changes(rest.expressions, code, kind);
    // A comment that is left needs the end of its line.
    if (!squeeze || pieces.some(({text}) => text.includes('//'))) return [...pieces, ...expressions];
    const short = pieces.map((piece) => ({...piece, text: joined(piece.text, kind.isWgsl)}));
    const lines = pieces.reduce(
      (sum, {text}, i) => sum + text.split('\n').length - short[i].text.split('\n').length,
      0,
    );
    return [...short, ...expressions, {start: end, end, text: '\n'.repeat(lines)}];
  }
  if (type === 'Literal' && kind.isOp && typeof rest.value === 'string' && isCodeOfOp.test(rest.value)) {
    return [{start, end, text: squeezed(code.slice(start, end))}];
  }
  if (type === 'Property' && /** @type {Node} */ (rest.key).name === 'variants') {
    const behind = code[end] === ',' ? end + 1 : end;
    return [{start, end: behind, text: code.slice(start, end).replace(/[^\n]/g, '')}]; // its lines stay
  }
  return below();
}

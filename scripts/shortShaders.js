/**
 * A plugin of the build that leaves comments and indentation out of the sources of shaders, which no minifier of JavaScript looks into.
 * Every line stays where it is, and with it what source maps say.
 */

/** The files whose template literals are WGSL or GLSL. */
const hasShaders = /(webgpu|webgl|wgsl)[^?]*\.ts$/i;

/**
 * A piece of a template literal. A comment that reaches up to a value goes on behind it, so it stays.
 * @param {string} text
 */
const shortened = (text) => text.replace(/[ \t]*\/\/.*(?=\n)/g, '').replace(/\n[ \t]+/g, '\n');

/** @param {string} code JavaScript @param {(code: string) => unknown} parse */
export function shortenTemplates(code, parse) {
  let result = '';
  let done = 0;
  for (const {start, end} of pieces(parse(code)).sort((a, b) => a.start - b.start)) {
    result += code.slice(done, start) + shortened(code.slice(start, end));
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

/** The pieces of all template literals below a node.
 * @param {unknown} node
 * @returns {Array<{start: number; end: number}>}
 */
function pieces(node) {
  if (typeof node !== 'object' || node === null) return [];
  if ('type' in node && node.type === 'TemplateElement')
    return [/** @type {{start: number; end: number}} */ (/** @type {unknown} */ (node))];
  return Object.values(node).flatMap(pieces);
}

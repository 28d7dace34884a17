/** Which weights the decay of AdamW leaves alone, told by their names. */

/**
 * The rule of the paper's code (state-spaces `_no_weight_decay`, section 3.6): A_log, D, biases and norms. A name has the form
 * `layers.0/mixer/dtProj/bias`.
 */
export const defaultNoDecay: readonly string[] = [
  '(^|/)(ALog|D)$',
  '[bB]ias$',
  '(^|/)(gamma|beta)$', // TensorFlow.js's own normalization layers
  '[nN]orm[^/]*/weight$',
];

/**
 * The name that a variable would have in the first model that uses it: TensorFlow.js adds `_1`, `_2`, … to the names of later ones,
 * and `_1_1` to a second `_1`.
 */
export function withoutSuffix(name: string): string {
  return name.replace(/(_\d+)+$/, '');
}

/** Whether any pattern, a regular expression, is found in the name. */
export function nameMatcher(patterns: readonly string[]): (name: string) => boolean {
  if (!Array.isArray(patterns) || patterns.some((pattern) => typeof pattern !== 'string')) {
    throw new Error('adamW: noDecay must be a list of name patterns (strings)');
  }
  const expressions = patterns.map((pattern) => {
    try {
      return new RegExp(pattern);
    } catch (error) {
      throw new Error(`adamW: noDecay must hold regular expressions, but ${(error as Error).message}`, {cause: error});
    }
  });
  return (name) => expressions.some((expression) => expression.test(withoutSuffix(name)));
}

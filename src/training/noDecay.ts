/** Which weights the decay of AdamW leaves alone, told by their names. */
import {knownMixers} from '../mixers';
import {readFields} from '../mixers/fields';

/** Layers of TensorFlow.js and ours. */
const general: readonly string[] = ['[bB]ias$', '(^|/)(gamma|beta)$', '[nN]orm[^/]*/weight$'];

/** Any width will do; mixers with heads want one that they divide. */
const WIDTH = 64;

/**
 * The rule of the paper's code (state-spaces `_no_weight_decay`, section 3.6): biases and norms, and of every known mixer what its
 * table of weights exempts, A_log and D. A name has the form `layers.0/mixer/dtProj/bias`.
 */
export function noDecayRule(): string[] {
  const isGeneral = nameMatcher(general);
  const names = knownMixers().flatMap((mixer) => {
    const config: object = mixer.configure(mixer.name, readFields(mixer.name, mixer.fields, {}), WIDTH);
    return mixer.weights(config).filter(({decays, name}) => !decays && !isGeneral(name));
  });
  const own = [...new Set(names.map(({name}) => name.replace(/[^\w/]/g, '\\$&')))];
  return own.length > 0 ? [`(^|/)(${own.join('|')})$`, ...general] : [...general];
}

/** The rule for the mixers of this package. */
export const defaultNoDecay: readonly string[] = noDecayRule();

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

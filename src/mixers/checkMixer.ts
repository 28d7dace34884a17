/**
 * Checks of a mixer that somebody else wrote, before anything is built on it: what is missing would otherwise be seen in the middle of
 * a training run, or after saving.
 */
import {show} from './fields';
import type {AnyMixer} from './mixer';

const functions = ['configure', 'weights', 'lookBack', 'run', 'step'] as const;
const optionalFunctions = ['check', 'stepBlocks', 'openBlocks'] as const;

/**
 * @param known The mixers there are, which it must not be taken for.
 * @throws Error naming the part of the mixer, what was expected and what was given.
 */
export function checkMixer(mixer: AnyMixer, known: Iterable<AnyMixer>): void {
  if (typeof mixer !== 'object' || mixer === null) throw new Error(`registerMixer: ${show(mixer)} is no mixer`);
  checkName(mixer.name);
  const fail = (part: string, expected: string, given: unknown): never => {
    throw new Error(`registerMixer: ${part} of the mixer ${mixer.name} must be ${expected}, but is ${show(given)}`);
  };
  for (const name of functions) if (typeof mixer[name] !== 'function') fail(name, 'a function', mixer[name]);
  for (const name of optionalFunctions) {
    if (mixer[name] !== undefined && typeof mixer[name] !== 'function') fail(name, 'a function', mixer[name]);
  }
  for (const table of ['fields', 'states'] as const) {
    if (typeof mixer[table] !== 'object' || mixer[table] === null) fail(table, 'an object', mixer[table]);
  }
  for (const [name, field] of Object.entries(mixer.fields)) {
    if (typeof field?.holds !== 'function') fail(`fields.${name}`, 'a field, with a function holds', field);
  }
  for (const [name, shape] of Object.entries(mixer.states)) {
    if (typeof shape !== 'function') fail(`states.${name}`, 'a function of the configuration', shape);
  }
  for (const other of known) {
    if (other === mixer) continue;
    if (other.name === mixer.name) throw new Error(`registerMixer: there is another mixer of the name ${mixer.name}`);
    const shared = modelTypes(mixer).find((type) => modelTypes(other).includes(type));
    if (shared === undefined) continue;
    throw new Error(
      `registerMixer: files of the mixer ${mixer.name} would have the model_type ${shared} of ${other.name}`,
    );
  }
}

/** TensorFlow.js writes other names in another way into the models it saves, and does not find them again. */
function checkName(name: unknown): void {
  if (typeof name === 'string' && /^[a-z][a-z0-9-]*$/.test(name)) return;
  const expected = 'lower-case letters, digits and dashes, a letter first';
  throw new Error(`registerMixer: the name of a mixer must be ${expected}, but is ${show(name)}`);
}

/** What files call it; by its name, if it does not say. */
function modelTypes({name, published}: AnyMixer): string[] {
  return published?.huggingFace.map(({modelType}) => modelType) ?? [name];
}

/**
 * The fields of a configuration: what each may be, and what it is if nobody says. One table serves the options of a layer, the
 * configuration of a model and the files of a checkpoint, so that they cannot come to differ.
 */

export {didYouMean} from '../ops/suggest';

/** One field. */
export interface Field<T = unknown> {
  /** What it is if left out; undefined where it then is absent, or follows from other fields. */
  readonly fallback: T | undefined;
  /** What it must be, in words that follow "must be". */
  readonly expected: string;
  /** What `typeof` says of it in a file. */
  readonly type: 'number' | 'boolean' | 'string' | 'object';
  /** Whether a value is one that the field may have. */
  holds(value: unknown): boolean;
  /** The value again from what JSON made of it, where JSON has no word for it. */
  restore?(value: unknown): unknown;
}

/** A field for each key of a configuration. */
export type Fields<C> = {readonly [Name in keyof C]-?: Field<C[Name]>};

/** Fields of a configuration that nobody needs to know the type of. */
export type FieldTable = Readonly<Record<string, Field>>;

const isPositiveInteger = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 1;
export const isPositive = (value: unknown) => Number.isFinite(value) && (value as number) > 0;

export function positiveInteger(fallback?: number): Field<number> {
  return {fallback, expected: 'a positive integer', type: 'number', holds: isPositiveInteger};
}

export function positiveNumber(fallback?: number): Field<number> {
  return {fallback, expected: 'a positive number', type: 'number', holds: isPositive};
}

export function flag(fallback?: boolean): Field<boolean> {
  return {fallback, expected: 'true or false', type: 'boolean', holds: (value) => typeof value === 'boolean'};
}

export function oneOf<Word extends string>(words: readonly Word[], fallback?: Word): Field<Word> {
  return {
    fallback,
    expected: `one of '${words.join("', '")}'`,
    type: 'string',
    holds: (value) => words.includes(value as Word),
  };
}

/** A positive integer, or 'auto' for one that follows from the width. */
export const integerOrAuto: Field<number | 'auto'> = {
  fallback: 'auto',
  expected: "a positive integer or 'auto'",
  type: 'number',
  holds: (value) => value === 'auto' || isPositiveInteger(value),
};

/**
 * Two numbers, the smaller one first. Where the second may be infinite, JSON makes null of it.
 *
 * @param what What both are, in words that follow "two".
 * @param isIn Whether a number is such a one.
 */
export function range(
  fallback: readonly [number, number],
  what: string,
  isIn: (value: number) => boolean,
): Field<readonly [number, number]> {
  const isRange = (value: unknown) => {
    const [low, high] = Array.isArray(value) && value.length === 2 ? (value as unknown[]) : [];
    return (
      typeof low === 'number' && typeof high === 'number' && isIn(low) && isIn(high) && low <= high && low < Infinity
    );
  };
  return {
    fallback,
    expected: `two ${what}, [smallest, largest]`,
    type: 'object',
    holds: isRange,
    restore: (value) => (Array.isArray(value) && value[1] === null ? [value[0], Infinity] : value),
  };
}

/**
 * Fills in what is left out and checks the rest; fields that the table does not know are not looked at.
 *
 * @param owner What errors name first: a layer's class, or MambaConfig.
 * @throws Error naming the owner and the field, what was expected and what was given.
 */
export function readFields<C extends object>(owner: string, fields: FieldTable, given: Readonly<Partial<C>>): C {
  const result: Partial<C> = {};
  for (const [name, field] of Object.entries(fields)) {
    const stated: unknown = Object.hasOwn(given, name) ? given[name as keyof C] : undefined;
    const value = field.restore ? field.restore(stated) : stated;
    if (value !== undefined && !field.holds(value)) throw wrongField(owner, name, field.expected, value);
    const filled = value ?? field.fallback;
    if (filled !== undefined) result[name as keyof C] = filled as C[keyof C];
  }
  return result as C;
}

/** The error of a field whose value will not do. */
export function wrongField(owner: string, name: string, expected: string, given: unknown): Error {
  return new Error(`${owner}: ${name} must be ${expected}, but is ${show(given)}`);
}

/** A value as an error shows it: strings quoted, so that '4' is not taken for 4. */
export function show(value: unknown): string {
  const asJson = typeof value === 'string' || (typeof value === 'object' && value !== null);
  return asJson ? JSON.stringify(value) : String(value);
}

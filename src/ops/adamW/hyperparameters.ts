/** Checks of numbers that an optimizer is made with, shared by the op and the optimizer. */
import {describe} from '../check';

/** An interval of numbers and its words. */
export interface Range {
  has: (value: number) => boolean;
  words: string;
}

const ranges = {
  nonNegative: {has: (value) => value >= 0, words: 'a number of 0 or more'},
  positive: {has: (value) => value > 0, words: 'a positive number'},
  decay: {has: (value) => value >= 0 && value < 1, words: 'a number from 0 to below 1'},
  count: {has: (value) => Number.isInteger(value) && value >= 0, words: 'a whole number of 0 or more'},
  positiveCount: {has: (value) => Number.isInteger(value) && value > 0, words: 'a positive whole number'},
} satisfies Record<string, Range>;

/** Throws unless `value` is a finite number in the range. */
export function checkNumber(op: string, name: string, value: unknown, range: keyof typeof ranges): void {
  const {has, words} = ranges[range];
  if (typeof value !== 'number' || !Number.isFinite(value) || !has(value)) {
    throw new Error(`${op}: ${name} must be ${words}, but is ${typeof value === 'number' ? value : describe(value)}`);
  }
}

/** Throws unless the constants of Adam are in range. */
export function checkAdamConstants(
  op: string,
  {beta1, beta2, epsilon}: Record<'beta1' | 'beta2' | 'epsilon', unknown>,
) {
  checkNumber(op, 'beta1', beta1, 'decay');
  checkNumber(op, 'beta2', beta2, 'decay');
  checkNumber(op, 'epsilon', epsilon, 'nonNegative');
}

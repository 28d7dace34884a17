/** How numbers are compared: max|error| / max|reference| over a tensor, because many entries are near zero. */
import {showShape} from '../../src/ops/check';
import type {Array64, Arrays} from './arrays';

function maxAbs(values: Float64Array): number {
  return values.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
}

/** max|error| / max|reference|, or max|error| where the reference is all zero. Whatever is not a number is infinitely wrong. */
export function relativeError(actual: Float64Array, expected: Float64Array): number {
  const scale = maxAbs(expected) || 1;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i] - expected[i]) / scale;
    if (!(error <= worst)) {
      worst = Number.isNaN(error) ? Infinity : error;
    }
  }
  return worst;
}

function mismatch(name: string, actual: Array64 | undefined, expected: Array64, tolerance: number): string[] {
  if (!actual) {
    return [`${name} is missing`];
  }
  if (showShape(actual.shape) !== showShape(expected.shape)) {
    return [`${name} has shape ${showShape(actual.shape)}, not ${showShape(expected.shape)}`];
  }
  const error = relativeError(actual.values, expected.values);
  return error <= tolerance ? [] : [`${name} is wrong by ${error.toExponential(2)}, more than ${tolerance}`];
}

/** What is wrong with `actual`, in words; empty if every expected array is there, and right within the tolerance. */
export function mismatches(actual: Arrays, expected: Arrays, tolerance: number): string[] {
  const surplus = Object.keys(actual).filter((name) => !(name in expected));
  return [
    ...surplus.map((name) => `${name} was not expected`),
    ...Object.entries(expected).flatMap(([name, array]) => mismatch(name, actual[name], array, tolerance)),
  ];
}

/** What the drawing of cases shares. */
import * as fc from 'fast-check';

/** Lengths around the places where kernels cut a sequence into chunks, and short ones. */
export const lengths = fc.oneof(
  {weight: 4, arbitrary: fc.integer({min: 1, max: 12})},
  {weight: 2, arbitrary: fc.integer({min: 13, max: 70})},
  {weight: 1, arbitrary: fc.constantFrom(63, 64, 65, 127, 128, 129, 192, 200)},
);

export const seeds = fc.integer({min: 1, max: 2 ** 30});

/** Every combination of one value for each key. */
export function product<T extends object>(choices: {[K in keyof T]: readonly T[K][]}): T[] {
  return Object.entries(choices).reduce<object[]>(
    (sofar, [key, values]) => sofar.flatMap((item) => (values as unknown[]).map((value) => ({...item, [key]: value}))),
    [{}],
  ) as T[];
}

export const either = [false, true] as const;

/** `index` chooses one of the divisors of `n`: a number of groups that `n` channels can be cut into. */
export function divisor(n: number, index: number): number {
  const divisors = Array.from({length: n}, (_, i) => i + 1).filter((d) => n % d === 0);
  return divisors[index % divisors.length];
}

/** What somebody may have meant by a name that is not known: misspelled, in another case, or as another library calls it. */

/**
 * The end of an error about an unknown name, empty if nothing comes near: `; did you mean nLayer?`
 *
 * @param name What was written.
 * @param known Names that would have been right.
 * @param elsewhere What other libraries call things, and the known name.
 */
export function didYouMean(
  name: string,
  known: readonly string[],
  elsewhere: Readonly<Record<string, string>> = {},
): string {
  const meant = nearest(name, known, elsewhere);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}

function nearest(
  name: string,
  known: readonly string[],
  elsewhere: Readonly<Record<string, string>>,
): string | undefined {
  const plain = plainName(name);
  const same = known.find((other) => plainName(other) === plain);
  if (same !== undefined) return same;
  const [, renamed] = Object.entries(elsewhere).find(([other]) => plainName(other) === plain) ?? [];
  if (renamed !== undefined && known.includes(renamed)) return renamed;
  const distances = known.map((other) => distance(plain, plainName(other)));
  const least = Math.min(...distances);
  // One slip in a short name, two in a long one: what is further away is another word.
  if (least <= (plain.length < 6 ? 1 : 2) && plain.length > 3) return known[distances.indexOf(least)];
  return plain.length > 3 ? known.find((other) => plainName(other).startsWith(plain)) : undefined;
}

/** Without what languages differ in: `d_model`, `dModel`. */
function plainName(name: string): string {
  return name.toLowerCase().replace(/[_-]/g, '');
}

/** How many characters must be put in, taken out or changed (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({length: b.length + 1}, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}

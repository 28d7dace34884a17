/** Packed documents: `ids` points to the ids of a row, int32, and is 0 where the row is one document. */

/** Where the document that begins at `begin` ends. */
export function documentEnd(ids: usize, begin: i32, length: i32): i32 {
  if (!ids) return length;
  const id = load<i32>(ids + (<usize>begin << 2));
  let end = begin + 1;
  while (end < length && load<i32>(ids + (<usize>end << 2)) === id) end++;
  return end;
}

/** Where the document that ends at `end` begins. */
export function documentBegin(ids: usize, end: i32): i32 {
  if (!ids) return 0;
  const id = load<i32>(ids + (<usize>(end - 1) << 2));
  let begin = end - 1;
  while (begin > 0 && load<i32>(ids + (<usize>(begin - 1) << 2)) === id) begin--;
  return begin;
}

/**
 * Packed documents: several sequences in one row, told apart by an id per position [B,L]. A document begins wherever the id changes
 * along the row; equal ids apart from each other are different documents.
 */

/** The positions begin … end-1 of a row. */
export interface Document {
  begin: number;
  end: number;
}

/** The documents of batch row `b` in order; without ids the row is one. */
export function documentsOf(ids: {values: ArrayLike<number>} | undefined, b: number, length: number): Document[] {
  if (ids === undefined) {
    return [{begin: 0, end: length}];
  }
  const documents: Document[] = [];
  const row = b * length;
  for (let begin = 0, end = 1; end <= length; end++) {
    if (end === length || ids.values[row + end] !== ids.values[row + end - 1]) {
      documents.push({begin, end});
      begin = end;
    }
  }
  return documents;
}

/** For each row the positions but the first where a document begins. */
export function documentStarts(
  ids: {values: ArrayLike<number>} | undefined,
  batch: number,
  length: number,
): Set<number>[] {
  return Array.from({length: batch}, (_, b) => {
    const [, ...later] = documentsOf(ids, b, length);
    return new Set(later.map(({begin}) => begin));
  });
}

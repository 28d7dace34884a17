/**
 * The key by which TensorFlow knows that the ranks' calls belong together. It says of what kind, type and shape a call is, so that ranks whose
 * calls differ never exchange a byte: their calls wait for each other until the patience is over, and end with an error. TensorFlow
 * itself would mix up tensors of different sizes.
 *
 * Calls of the same kind, one after the other, have the same key: a call ends only when what it has sent has been taken, and TensorFlow
 * asks rank 0 about a key that it has not seen, and keeps something for each.
 */

/** A positive int32 from a text of the call's kind, dtype and shape. */
export function callKey(what: string): number {
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193);
  return (hash ^ (hash >>> 31)) & 0x7fffffff;
}

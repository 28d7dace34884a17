/**
 * The key by which TensorFlow knows that the ranks' calls belong together. It says which call it is and of what, so that ranks whose
 * calls differ never exchange a byte: their calls wait for each other until the patience is over, and end with an error. TensorFlow
 * itself would mix up tensors of different sizes.
 */

/** Calls after which keys come again; TensorFlow keeps something for each key it has seen. */
const CALLS = 1 << 12;

/** A positive int32 from the call's number and a text of its kind, dtype and shape. */
export function callKey(call: number, what: string): number {
  let hash = 0x811c9dc5; // FNV-1a, 32 bits
  for (let i = 0; i < what.length; i++) hash = Math.imul(hash ^ what.charCodeAt(i), 0x01000193);
  return ((hash >>> 13) * CALLS + (call % CALLS)) & 0x7fffffff;
}

/**
 * The names of tensors before the table of names is asked: PyTorch's wrappers leave their own names in front (`module.`
 * DataParallel's, `_orig_mod.` torch.compile's), and a model saved without its head lacks the `backbone.`.
 */
import {head} from '../config/weightTable';
import type {StoredTensor} from './tensors';

const backbone = 'backbone.';

/** A name without what wrappers have put in front of it. */
export function withoutWrappers(name: string): string {
  return name.replace(/^(?:module\.|_orig_mod\.)+/, '');
}

/**
 * The tensors under the names that an unwrapped, whole model would have given them.
 *
 * @param file What errors call the file, or the index of several.
 */
export function withPublishedNames(
  file: string,
  tensors: ReadonlyMap<string, StoredTensor>,
): Map<string, StoredTensor> {
  const isBare = ![...tensors.keys()].some((name) => withoutWrappers(name).startsWith(backbone));
  const renamed = new Map<string, StoredTensor>();
  for (const [name, tensor] of tensors) {
    const unwrapped = withoutWrappers(name);
    const published = isBare && unwrapped !== head ? backbone + unwrapped : unwrapped;
    const other = renamed.get(published);
    if (other) throw new Error(`${file} has both ${other.name} and ${name}`);
    renamed.set(published, tensor);
  }
  return renamed;
}

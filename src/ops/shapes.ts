/** The shapes of what a kernel gives, where they are known apart from the kernel: see src/backends/typedArrays.ts. */
import type {KernelShape} from '../backends/typedArrays';
import type {PresentAttr} from './kernel';

export type {KernelShape};

/** A result for each of those inputs that is present, in its shape: a gradient, or a state moved on. */
export function shapesOfInputs(names: readonly string[]): KernelShape['outputs'] {
  return (inputs, {present}: PresentAttr) =>
    names.filter((name) => present.includes(name)).map((name) => ({shape: [...inputs[present.indexOf(name)].shape]}));
}

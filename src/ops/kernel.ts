/**
 * How an op reaches its kernels.
 *
 * TensorFlow.js looks a kernel up by (name, backend) and breaks on inputs that are absent or undefined, so every op here hands over
 * an *array* of the inputs that are present, and the attribute `present` names them. A backend without a kernel of its own gets the
 * `composed` one, made of TensorFlow.js ops: slower, never wrong, and said once.
 */
import * as tf from '@tensorflow/tfjs';
import {runKernel} from '../backends/engine';

/** The inputs of a kernel by name; an optional one that is absent is undefined. */
export type Named<Name extends string, T> = {[K in Name]?: T};

/** What a kernel with named inputs finds in its attributes besides the op's own. */
export interface PresentAttr {
  /** The names of the inputs handed over, in the order of the array. */
  present: string[];
}

/** A kernel that TensorFlow.js calls with an array of inputs: what a backend's file in an op's folder registers. */
type ArrayKernelFunc = (params: {
  inputs: tf.TensorInfo[];
  backend: unknown;
  attrs: PresentAttr & Record<string, unknown>;
}) => tf.TensorInfo[];

/** Gives the array of inputs their names back. */
export function byName<Name extends string, T>(inputs: readonly T[], present: readonly string[]): Named<Name, T> {
  return Object.fromEntries(present.map((name, i) => [name, inputs[i]])) as Named<Name, T>;
}

/** One named kernel of an op: its inputs in order. */
interface KernelDefinition<Name extends string> {
  kernelName: string;
  /** Every input in the order of the array, optional ones included. */
  order: readonly Name[];
}

/** Runs a kernel on the backend that is current at the call. */
export interface Kernel<Inputs, Attrs extends object> {
  (inputs: Inputs, attrs: Attrs): tf.Tensor[];
  readonly kernelName: string;
}

/** Declares a kernel with named inputs; the files of the backends beside it, `composed.ts` among them, implement it. */
export function defineKernel<Name extends string, Attrs extends object>({
  kernelName,
  order,
}: KernelDefinition<Name>): Kernel<Named<Name, tf.Tensor>, Attrs> {
  const runList = defineListKernel<Attrs & PresentAttr>(kernelName);
  const run = (inputs: Named<Name, tf.Tensor>, attrs: Attrs) => {
    const present = order.filter((name) => inputs[name] !== undefined);
    const array = present.map((name) => inputs[name]!);
    return runList(array, {...attrs, present});
  };
  return Object.assign(run, {kernelName});
}

/** Declares a kernel whose inputs are lists of any length, one after the other. */
export function defineListKernel<Attrs extends object>(kernelName: string): Kernel<tf.Tensor[], Attrs> {
  const run = (inputs: tf.Tensor[], attrs: Attrs) => {
    tf.backend(); // starts the default backend if none has been chosen yet
    ensureKernel(kernelName);
    return runKernel(kernelName, inputs, attrs);
  };
  return Object.assign(run, {kernelName});
}

type ListForm = (inputs: tf.Tensor[], attrs: PresentAttr) => tf.Tensor[];

/** The forms made of TensorFlow.js ops, by the name of the kernel; `adopt` makes one a backend's kernel. */
const composedForms = new Map<string, {form: ListForm; adopt(backendName: string): void}>();

/**
 * Offers a form made of TensorFlow.js ops to every backend without a kernel of its own.
 *
 * @param isMeant Whether it is the intended form unless a backend has better, of which nothing need be said.
 */
export function offerComposed<Name extends string, Attrs extends object>(
  {kernelName}: Kernel<Named<Name, tf.Tensor>, Attrs>,
  composed: (inputs: Record<Name, tf.Tensor>, attrs: Attrs) => tf.Tensor[],
  isMeant = false,
): void {
  const form: ListForm = (inputs, attrs) =>
    composed(byName(inputs, attrs.present) as Record<Name, tf.Tensor>, attrs as unknown as Attrs);
  offerForm(kernelName, form, isMeant);
}

/** As {@link offerComposed}, for a kernel of lists. */
export function offerComposedList<Attrs extends object>(
  {kernelName}: Kernel<tf.Tensor[], Attrs>,
  composed: (inputs: tf.Tensor[], attrs: Attrs) => tf.Tensor[],
  isMeant = false,
): void {
  offerForm(kernelName, (inputs, attrs) => composed(inputs, attrs as unknown as Attrs), isMeant);
}

// A program without composed forms has none of what follows from them, the warning included.
function offerForm(kernelName: string, form: ListForm, isMeant: boolean): void {
  const adopt = (backendName: string) => {
    registerArrayKernel(kernelName, backendName, ({inputs, attrs}) =>
      tf.tidy(() => form(inputs as tf.Tensor[], attrs)),
    );
    if (isMeant || warned.has(backendName)) return;
    warned.add(backendName);
    console.warn(
      `tfjs-mamba: backend '${backendName}' has no ${kernelName} kernel of its own; ` +
        "unless 'tfjs-mamba' or one of 'tfjs-mamba/backends/…' is imported and brings one, " +
        'this op and any other without one run composed of TensorFlow.js ops, which is slower.',
    );
  };
  composedForms.set(kernelName, {form, adopt});
}

const warned = new Set<string>();

function ensureKernel(kernelName: string): void {
  const backendName = tf.getBackend();
  if (tf.getKernel(kernelName, backendName) !== undefined) return;
  const composed = composedForms.get(kernelName);
  if (composed === undefined) {
    throw new Error(
      `${kernelName}: no kernel for the backend '${backendName}' is imported; import 'tfjs-mamba/backends/${backendName}' if there is one, ` +
        "or 'tfjs-mamba/backends/composed', which runs on any backend and is slow",
    );
  }
  composed.adopt(backendName);
}

/** Runs the composed form in place of a backend's own kernel, for a call that this one does not take. */
export function runComposed(
  kernelName: string,
  {inputs, attrs}: {inputs: tf.TensorInfo[]; attrs: PresentAttr},
): tf.TensorInfo[] {
  return tf.tidy(() => composedForms.get(kernelName)!.form(inputs as tf.Tensor[], attrs));
}

/** Registers a kernel that takes an array of inputs; a kernel already there is left alone. */
export function registerArrayKernel(kernelName: string, backendName: string, kernelFunc: ArrayKernelFunc): void {
  if (tf.getKernel(kernelName, backendName) === undefined) {
    tf.registerKernel({kernelName, backendName, kernelFunc: kernelFunc as unknown as tf.KernelFunc});
  }
}

/** A gradient function over named inputs: one gradient per present input, in their order. */
type FusedGradient<Name extends string, Attrs extends object> = (
  dys: tf.Tensor[],
  inputs: Named<Name, tf.Tensor>,
  savedOutputs: tf.Tensor[],
  attrs: Attrs,
) => tf.Tensor[];

/**
 * Registers the gradient of a kernel for all backends. The gradients of all inputs come from one call, made here and not in the
 * engine's per-input thunks: each of those has a tidy of its own, which would dispose what the others share.
 */
export function defineGradient<Name extends string, Attrs extends object>(
  kernelName: string,
  outputsToSave: boolean[],
  gradient: FusedGradient<Name, Attrs>,
): void {
  if (tf.getGradient(kernelName) !== undefined) {
    return;
  }
  tf.registerGradient({
    kernelName,
    saveAllInputs: true,
    outputsToSave,
    gradFunc: (dy: tf.Tensor | tf.Tensor[], saved: tf.Tensor[], attrs: tf.NamedAttrMap) => {
      const {present} = attrs as unknown as PresentAttr;
      const inputs = byName<Name, tf.Tensor>(saved, present);
      const dys = Array.isArray(dy) ? dy : [dy];
      const gradients = gradient(dys, inputs, saved.slice(present.length), attrs as unknown as Attrs);
      return Object.fromEntries(gradients.map((g, i) => [String(i), () => g]));
    },
  });
}

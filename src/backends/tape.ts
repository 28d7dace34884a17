/**
 * What TensorFlow.js 4's gradient tape lacks: freeing what it leaves behind when something throws, and what it has done with before its
 * end; one gradient inside another; and gradients handed out one by one.
 */
import * as tf from '@tensorflow/tfjs';

/** The engine copies with this what it keeps for a gradient, and nothing else. */
interface Engine {
  clone?(tensor: tf.Tensor): tf.Tensor;
}

/**
 * Runs a function that computes gradients (`tf.variableGrads`, `tf.grads`); if it throws, nothing it made stays. The tape keeps copies of
 * the tensors that gradients will need, out of reach of every `tidy`, and forgets them without disposing them when the function that
 * is differentiated throws, or the way back does.
 */
export function freeingTape<T extends tf.TensorContainer>(gradients: () => T): T {
  const engine = tf.engine() as unknown as Engine;
  const {clone} = engine;
  const copies: tf.Tensor[] = [];
  engine.clone = (tensor) => {
    const copy = clone!.call(engine, tensor);
    copies.push(copy);
    return copy;
  };
  try {
    return tf.tidy(gradients);
  } catch (error) {
    tf.dispose(copies);
    throw error;
  } finally {
    engine.clone = clone;
  }
}

/** Computes gradients while those of something around are computed, whose tape TensorFlow.js would throw away; zeros where there are none. */
export function innerGradients(f: () => tf.Tensor, xs: tf.Tensor[], dy: tf.Tensor): tf.Tensor[] {
  const engine = tf.engine();
  const {activeTape} = engine.state;
  try {
    return tf.tidy(() => {
      const {grads} = engine.gradients(f, xs, dy, true);
      return grads.map((grad, i) => grad ?? tf.zerosLike(xs[i]));
    });
  } finally {
    engine.state.activeTape = activeTape;
  }
}

/** The value of a function, and its gradients in `xs`, with holes where it does not depend on one. */
export function valueAndGradients(
  f: () => tf.Scalar,
  xs: tf.Tensor[],
): {value: tf.Scalar; grads: Array<tf.Tensor | null>} {
  return tf.engine().gradients(f, xs, undefined, true);
}

/** What of a node of the tape is read and made here. */
interface TapeNode {
  id: number;
  kernelName: string;
  inputs: Record<string, {id: number; shape: number[]}>;
  outputs: Array<{id: number; shape: number[]; dtype?: tf.DataType}>;
  saved: tf.Tensor[];
  /** Absent where there is none. */
  gradient?(dys: Array<tf.Tensor | null>): Record<string, () => tf.Tensor>;
}

interface TapeState {
  activeTape: TapeNode[];
  nextTapeNodeId: number;
  activeScope: {id: number};
}

/**
 * Has `ready` called on the way back, with the gradient of a variable as soon as it is whole, while those of the variables that are used
 * earlier are still to come. To be called last in the function that is differentiated. TensorFlow.js hands all gradients out together at the end;
 * so a node that only tells is put onto the tape before the first that uses the variable, and in the variable's place for all of them. What
 * is handed out in the end is a zero for each variable.
 */
export function watchGradients(
  variables: readonly tf.Variable[],
  ready: (variable: tf.Variable, gradient: tf.Tensor) => void,
): void {
  const {state} = tf.engine() as unknown as {state: TapeState};
  const waiting = new Map(variables.map((variable) => [variable.id, variable]));
  const alias = (variable: tf.Variable) => ({id: -variable.id, shape: variable.shape});
  const watched = state.activeTape.flatMap((node): TapeNode[] => {
    const tellers: TapeNode[] = [];
    for (const [name, {id}] of Object.entries(node.inputs)) {
      const variable = variables.find((candidate) => candidate.id === id);
      if (!variable) continue;
      node.inputs[name] = alias(variable);
      if (!waiting.delete(id)) continue;
      const gradient = ([dy]: Array<tf.Tensor | null>) => {
        ready(variable, dy!);
        return {x: () => tf.scalar(0)};
      };
      const ends = {inputs: {x: {id: variable.id, shape: []}}, outputs: [alias(variable)]};
      tellers.push({id: state.nextTapeNodeId++, kernelName: 'Identity', saved: [], gradient, ...ends});
    }
    return [...tellers, node];
  });
  state.activeTape.splice(0, Infinity, ...watched);
}

/**
 * Has what the way back is done with freed on the way: what was kept for a gradient once that is computed, the gradient of a result once
 * those of what it was made of are, and what was added to a gradient that was there. TensorFlow.js keeps all of them to the end. And the
 * gradients of results that nothing depends on, such as last states, are zeros made once for each shape and on the device; TensorFlow.js
 * would make and upload each. To be called last in the function that is differentiated.
 */
export function freeOnTheWay(): void {
  const {state} = tf.engine() as unknown as {state: TapeState};
  const begun = new Set<number>();
  let done: tf.Tensor[] = [];
  let addends: tf.Tensor[] = [];
  const zeros: Record<string, tf.Tensor> = {};
  const zeroOf = ({shape, dtype}: TapeNode['outputs'][number]) =>
    dtype === 'float32' ? (zeros[shape.join()] ??= tf.fill(shape, 0)) : null;
  for (const node of state.activeTape) {
    const {gradient, inputs, outputs, saved} = node;
    if (!gradient) continue;
    node.gradient = (dys) => {
      const scope = state.activeScope.id;
      // Of the gradients those alone that were made on this way: a gradient function may give a tensor that somebody else has.
      const isMine = ({kept, scopeId}: tf.Tensor) => !kept && scopeId === scope;
      tf.dispose([done, addends.filter(isMine)]);
      done = [...saved, ...dys.filter((dy) => dy !== null).filter(isMine)];
      addends = [];
      const all = dys.map((dy, i) => dy ?? zeroOf(outputs[i]));
      const given = new Set<tf.Tensor | null>([...done, ...all]);
      const own = (name: string, grad: tf.Tensor) => {
        const dx = given.has(grad) ? grad.clone() : grad;
        given.add(dx);
        const {id} = inputs[name];
        if (begun.has(id)) addends.push(dx);
        begun.add(id);
        return dx;
      };
      const grads = Object.entries(gradient(all)).map(([name, grad]) => [name, () => own(name, grad())]);
      return Object.fromEntries(grads) as Record<string, () => tf.Tensor>;
    };
  }
}

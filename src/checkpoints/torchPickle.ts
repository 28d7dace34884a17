/**
 * What the pickle of a state dict may name: dictionaries, storages, tensors and parameters. Anything else is refused
 * unexecuted (pickle.ts). Tensors are views of storages, as in PyTorch: several may share one, and their elements need not
 * lie in order.
 *
 * Format: torch/serialization.py (_save, _load), torch/_utils.py (_rebuild_tensor_v2, _rebuild_parameter and
 * _rebuild_parameter_with_state).
 */
import {readPickle, type PickleRules} from './pickle';
import {quote} from './quote';

/** As in PyTorch. It also bounds what checking one shape can cost. */
const maxAxes = 64;

const storageDtypes = new Map([
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['DoubleStorage', 'F64'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
  ['ComplexFloatStorage', 'C64'],
]);

class StorageType {
  constructor(readonly dtype: string) {}
}

/** The elements of one or more tensors, in the file `data/<key>`. */
export class Storage {
  constructor(
    readonly key: string,
    readonly dtype: string,
    readonly length: number,
  ) {}
}

export class TensorView {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/** What may be called, by its name in Python. */
const functions = new Map<string, (args: readonly unknown[]) => unknown>([
  ['collections.OrderedDict', orderedDict],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_parameter', (args) => rebuildParameter(args, 3)],
  // The fourth are attributes such as the `_no_weight_decay` that the official model gives A_log and D.
  ['torch._utils._rebuild_parameter_with_state', (args) => rebuildParameter(args, 4)],
]);

const rules: PickleRules = {
  global(module, name) {
    const known = functions.get(`${module}.${name}`);
    if (known) return known;
    const dtype = module === 'torch' ? storageDtypes.get(name) : undefined;
    if (dtype !== undefined) return new StorageType(dtype);
    throw new Error(
      `the pickle asks for ${quote(`${module}.${name}`)}, which is no part of a state dict; nothing of it was executed`,
    );
  },

  call(callable, args) {
    if (typeof callable === 'function') return (callable as (args: readonly unknown[]) => unknown)(args);
    return refuseCall();
  },

  // A state dict carries the versions of its modules as an attribute, which loading has no use for.
  build(object, state) {
    const isMetadata = object instanceof Map && state instanceof Map && state.size === 1 && state.has('_metadata');
    if (!isMetadata) throw new Error('the pickle sets the state of an object (BUILD), which no state dict needs');
  },

  persistent(id) {
    const [kind, type, key, , length] = Array.isArray(id) && id.length === 5 ? (id as unknown[]) : [];
    if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isNatural(length)) {
      throw new Error('the pickle has a persistent id that describes no storage');
    }
    return new Storage(key, type.dtype, length);
  },
};

/**
 * The tensors of a pickled state dict, by name.
 *
 * @throws An error, without the file's name, if the pickle is anything else.
 */
export function readStateDict(pickle: Uint8Array): Map<string, TensorView> {
  const value = readPickle(pickle, rules);
  if (!(value instanceof Map)) throw new Error('the pickle must hold a dictionary of tensors');
  for (const [name, tensor] of value as Map<string, unknown>) {
    if (!(tensor instanceof TensorView)) {
      throw new Error(`${quote(name)} is no tensor; a plain state dict was expected`);
    }
  }
  return value as Map<string, TensorView>;
}

function orderedDict(args: readonly unknown[]): Map<string, unknown> {
  return args.length === 0 ? new Map<string, unknown>() : refuseCall();
}

function rebuildTensor(args: readonly unknown[]): TensorView {
  const [storage, offset, shape, strides, requiresGrad, hooks] = args;
  const valid =
    args.length === 6 &&
    storage instanceof Storage &&
    isNatural(offset) &&
    isNaturals(shape) &&
    isNaturals(strides) &&
    shape.length === strides.length &&
    typeof requiresGrad === 'boolean' &&
    isEmpty(hooks);
  if (!valid) throw new Error('the pickle rebuilds a tensor from arguments that torch.save does not write');
  return new TensorView(storage, offset, shape, strides);
}

function rebuildParameter(args: readonly unknown[], count: number): TensorView {
  const [tensor, requiresGrad, hooks, state = new Map()] = args;
  const valid =
    args.length === count &&
    tensor instanceof TensorView &&
    typeof requiresGrad === 'boolean' &&
    isEmpty(hooks) &&
    state instanceof Map;
  if (!valid) throw new Error('the pickle rebuilds a parameter from arguments that torch.save does not write');
  return tensor;
}

function refuseCall(): never {
  throw new Error('the pickle calls something that is no part of a state dict; nothing of it was executed');
}

function isEmpty(value: unknown): boolean {
  return value instanceof Map && value.size === 0;
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= maxAxes && value.every(isNatural);
}

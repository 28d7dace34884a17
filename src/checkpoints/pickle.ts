/**
 * A reader of Python pickles that cannot run anything. A pickle is a program for a small stack machine, and Python's own
 * machine imports and calls whatever the program names. This one knows only the opcodes that torch.save emits for a state
 * dict (protocol 2; those of 3 are the same), builds plain values, and leaves every name, call and state to `rules`, which
 * refuse what they do not know. Dictionaries become Maps, so that no key can reach a prototype.
 *
 * Every opcode makes at most one value, and their number is bounded, so that no pickle costs much more than its own size.
 *
 * Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py
 */
import {quote} from './quote';

/** A tensor takes some 40; this is enough for 12,000 of them. */
const maxOpcodes = 512 * 1024;

export interface PickleRules {
  /** What GLOBAL stands for; throws unless it is known. */
  global(module: string, name: string): unknown;
  /** What REDUCE makes of a global and its arguments; throws unless it is known. */
  call(callable: unknown, args: readonly unknown[]): unknown;
  /** Allows BUILD to be passed over, or throws; nothing is ever assigned to an object. */
  build(object: unknown, state: unknown): void;
  /** What BINPERSID stands for. */
  persistent(id: unknown): unknown;
}

/** Where a stack slice begins. */
const mark = Symbol('mark');

/**
 * Runs the pickle in `bytes`.
 *
 * @returns null, booleans, numbers, strings, arrays (tuples), Maps (dictionaries), and what `rules` return.
 * @throws An error, without the file's name, if anything at all is out of the ordinary.
 */
export function readPickle(bytes: Uint8Array, rules: PickleRules): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = new TextDecoder('utf-8', {fatal: true});
  const stack: unknown[] = [];
  const memo = new Map<number, unknown>();
  let at = 0;

  /** Moves past `count` bytes and says where they were. */
  const take = (count: number): number => {
    if (count > bytes.length - at) throw new Error('the pickle is cut off');
    at += count;
    return at - count;
  };
  const u8 = () => view.getUint8(take(1));
  const u16 = () => view.getUint16(take(2), true);
  const u32 = () => view.getUint32(take(4), true);
  const string = (count: number) => {
    const start = take(count);
    return text.decode(bytes.subarray(start, at));
  };
  const line = () => {
    const end = bytes.indexOf(0x0a, at);
    if (end === -1) throw new Error('the pickle is cut off');
    const value = string(end - at);
    take(1);
    return value;
  };
  const pop = () => {
    if (stack.length === 0) throw new Error('the pickle takes more from the stack than is there');
    const value = stack.pop();
    if (value === mark) throw new Error('the pickle has a mark out of place');
    return value;
  };
  const popTuple = (count: number) => Array.from({length: count}, pop).reverse();
  const popToMark = () => {
    const start = stack.lastIndexOf(mark);
    if (start === -1) throw new Error('the pickle lacks a mark');
    const values = stack.splice(start + 1);
    stack.pop();
    return values;
  };
  const top = () => {
    const value = pop();
    stack.push(value);
    return value;
  };
  const setItems = (items: unknown[]) => {
    const dictionary = top();
    if (!(dictionary instanceof Map)) throw new Error('the pickle sets an item of something that is no dictionary');
    if (items.length % 2 === 1) throw new Error('the pickle sets a key without a value');
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string') throw new Error('the pickle has a dictionary key that is no string');
      if (dictionary.has(key)) throw new Error(`the pickle sets ${quote(key)} twice`);
      dictionary.set(key, items[i + 1]);
    }
  };
  const remembered = (index: number) => {
    if (!memo.has(index)) throw new Error(`the pickle asks for memo ${index}, which is not there`);
    return memo.get(index);
  };

  for (let count = 0; ; count++) {
    if (count === maxOpcodes) throw new Error(`the pickle has more than ${maxOpcodes} opcodes`);
    const position = at;
    const opcode = u8();
    switch (opcode) {
      case 0x80: {
        // PROTO
        const protocol = u8();
        if (protocol !== 2 && protocol !== 3) {
          throw new Error('the pickle is not of protocol 2, which torch.save writes, nor of 3, which it can');
        }
        break;
      }
      case 0x2e: {
        // STOP
        const value = pop();
        if (stack.length > 0) throw new Error('the pickle ends with values left over');
        return value;
      }
      case 0x28: // MARK
        stack.push(mark);
        break;
      case 0x4e: // NONE
        stack.push(null);
        break;
      case 0x88: // NEWTRUE
        stack.push(true);
        break;
      case 0x89: // NEWFALSE
        stack.push(false);
        break;
      case 0x4a: // BININT
        stack.push(view.getInt32(take(4), true));
        break;
      case 0x4b: // BININT1
        stack.push(u8());
        break;
      case 0x4d: // BININT2
        stack.push(u16());
        break;
      case 0x8a: // LONG1
        stack.push(integer(bytes.subarray(take(u8()), at)));
        break;
      case 0x58: // BINUNICODE
        stack.push(string(u32()));
        break;
      case 0x29: // EMPTY_TUPLE
        stack.push([]);
        break;
      case 0x74: // TUPLE
        stack.push(popToMark());
        break;
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        stack.push(popTuple(opcode - 0x84));
        break;
      case 0x7d: // EMPTY_DICT
        stack.push(new Map());
        break;
      case 0x73: // SETITEM
        setItems(popTuple(2));
        break;
      case 0x75: // SETITEMS
        setItems(popToMark());
        break;
      case 0x71: // BINPUT
        memo.set(u8(), top());
        break;
      case 0x72: // LONG_BINPUT
        memo.set(u32(), top());
        break;
      case 0x68: // BINGET
        stack.push(remembered(u8()));
        break;
      case 0x6a: // LONG_BINGET
        stack.push(remembered(u32()));
        break;
      case 0x63: // GLOBAL
        stack.push(rules.global(line(), line()));
        break;
      case 0x52: {
        // REDUCE
        const args = pop();
        if (!Array.isArray(args)) throw new Error('the pickle calls something without a tuple of arguments');
        stack.push(rules.call(pop(), args));
        break;
      }
      case 0x62: {
        // BUILD
        const state = pop();
        rules.build(top(), state);
        break;
      }
      case 0x51: // BINPERSID
        stack.push(rules.persistent(pop()));
        break;
      default:
        throw new Error(
          `the pickle has opcode 0x${opcode.toString(16).padStart(2, '0')}${refused.get(opcode) ?? ''} at byte ${position}, ` +
            'which no state dict needs',
        );
    }
  }
}

/** Opcodes that run code in Python, for the message. */
const refused = new Map([
  [0x69, ' (INST)'],
  [0x6f, ' (OBJ)'],
  [0x81, ' (NEWOBJ)'],
  [0x82, ' (EXT1)'],
  [0x83, ' (EXT2)'],
  [0x84, ' (EXT4)'],
  [0x92, ' (NEWOBJ_EX)'],
  [0x93, ' (STACK_GLOBAL)'],
]);

/** A little-endian two's complement integer. */
function integer(bytes: Uint8Array): number {
  if (bytes.length > 8) throw new Error('the pickle has an integer beyond 2^53');
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]);
  const result = Number(BigInt.asIntN(8 * bytes.length, value));
  if (!Number.isSafeInteger(result)) throw new Error('the pickle has an integer beyond 2^53');
  return result;
}

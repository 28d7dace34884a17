/** Typed access to a JSON object of a file, with errors that name the file and the field. */
import type {Field} from '../mixers/fields';
import {isObject, type JsonObject} from './json';
import {shown} from './quote';

const jsonTypes = {number: 'a number', boolean: 'a boolean', string: 'a string', object: 'an array'} as const;

/** null counts as absent, as in Python's configurations. */
export class JsonFields {
  constructor(
    readonly file: string,
    private readonly json: JsonObject,
  ) {}

  keys(): string[] {
    return Object.keys(this.json);
  }

  names(field: string): boolean {
    return Object.hasOwn(this.json, field);
  }

  has(field: string): boolean {
    return this.value(field) !== undefined;
  }

  value(field: string): unknown {
    return this.names(field) ? (this.json[field] ?? undefined) : undefined;
  }

  number(field: string): number | undefined {
    return this.typed(field, 'number') as number | undefined;
  }

  boolean(field: string): boolean | undefined {
    return this.typed(field, 'boolean') as boolean | undefined;
  }

  string(field: string): string | undefined {
    return this.typed(field, 'string') as string | undefined;
  }

  /** A value for a field of ours; the type is checked here, where the file's own name of it is known, the value later. */
  valueFor(field: string, {type, holds}: Field): unknown {
    const value = pythonNumbers(this.value(field));
    return value === undefined || holds(value) ? value : this.typed(field, type);
  }

  required(field: string): number {
    const value = this.number(field);
    if (value === undefined) throw new Error(`${this.file} lacks ${field}`);
    return value;
  }

  tokenIds(field: string): number[] | undefined {
    const value = this.value(field);
    if (value === undefined) return undefined;
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    if (!ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) {
      throw new Error(`${this.file}: ${field} must be a token id or an array of them, but is ${shown(value)}`);
    }
    return ids as number[];
  }

  object(field: string): JsonFields {
    const value = this.value(field) ?? {};
    if (!isObject(value)) throw new Error(`${this.file}: ${field} must be an object, but is ${shown(value)}`);
    return new JsonFields(`${this.file}: ${field}`, value);
  }

  /** @throws Error of what the check objects to, if anything. */
  heed(check?: (json: JsonObject) => string | undefined): void {
    const objection = check?.(this.json);
    if (objection !== undefined) throw new Error(`${this.file}: ${objection}`);
  }

  /** A setting that a model here cannot follow. */
  refuse(field: string, value: unknown, supported: string): never {
    throw new Error(`${this.file}: ${field} ${shown(value)} is not supported, only ${supported}`);
  }

  private typed(field: string, type: keyof typeof jsonTypes): unknown {
    const value = this.value(field);
    if (value === undefined || typeof value === type) return value;
    throw new Error(`${this.file}: ${field} must be ${jsonTypes[type]}, but is ${shown(value)}`);
  }
}

/** A list with the infinities that Python's JSON has: bare, which the parser hands over as words, or as transformers 5 wraps them. */
function pythonNumbers(value: unknown): unknown {
  if (!Array.isArray(value)) return value;
  return value.map((entry: unknown) => {
    const word = (entry as {__float__?: unknown} | null)?.__float__ ?? entry;
    return word === 'Infinity' ? Infinity : word === '-Infinity' ? -Infinity : entry;
  });
}

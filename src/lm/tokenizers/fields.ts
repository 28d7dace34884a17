/** Typed access to the content of a `tokenizer.json`; every error names the field by its path. */

/** A part of the content and where it stands, such as `pre_tokenizer.pretokenizers[1]`. */
export class Field {
  constructor(
    readonly path: string,
    readonly value: unknown,
  ) {}

  /** A member; absent ones count as null, as in Python. */
  get(name: string): Field {
    const object = this.object();
    return new Field(
      this.path === '' ? name : `${this.path}.${name}`,
      Object.hasOwn(object, name) ? object[name] : null,
    );
  }

  get isNull(): boolean {
    return this.value === null || this.value === undefined;
  }

  object(): Record<string, unknown> {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) this.wrong('an object');
    return this.value as Record<string, unknown>;
  }

  list(): Field[] {
    if (!Array.isArray(this.value)) this.wrong('an array');
    return (this.value as unknown[]).map((item, i) => new Field(`${this.path}[${i}]`, item));
  }

  string(): string {
    if (typeof this.value !== 'string') this.wrong('a string');
    return this.value;
  }

  boolean(ifNull: boolean): boolean {
    if (this.isNull) return ifNull;
    if (typeof this.value !== 'boolean') this.wrong('true or false');
    return this.value;
  }

  natural(): number {
    if (!Number.isSafeInteger(this.value) || (this.value as number) < 0) this.wrong('a whole number');
    return this.value as number;
  }

  /** One of some strings. */
  oneOf(...allowed: string[]): string {
    const value = this.string();
    if (!allowed.includes(value)) this.refuse(`only ${allowed.join(', ')}`);
    return value;
  }

  wrong(expected: string): never {
    throw new Error(`loadTokenizer: ${this.path} must be ${expected}, but is ${this.shown()}`);
  }

  /** For what is valid, but would give other ids than in Python. */
  refuse(supported: string): never {
    throw new Error(
      `loadTokenizer: ${this.path} ${this.shown()} cannot be followed as Hugging Face's Python library does; supported is ${supported}`,
    );
  }

  private shown(): string {
    const text = JSON.stringify(this.value) ?? String(this.value);
    return text.length > 100 ? `${text.slice(0, 100)}…` : text;
  }
}

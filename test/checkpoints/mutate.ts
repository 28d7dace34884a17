/**
 * Valid files changed at random, for every format that is read: bytes changed, cut or added, and, in JSON, values put in
 * each other's place. Whatever comes of it is what the format promises or an error that names a file, soon, and without more
 * memory than the file could fill.
 */

/** One file, and how it is read. */
export interface Subject {
  /** A valid file. */
  bytes: Uint8Array;
  /** Also changed by its values, for files that hold JSON or begin with it: how to write the file with another. */
  json?: {value: unknown; write(text: string): Uint8Array};
  /** Reads the file, and throws what that does; says what is wrong with what was read, if anything is. */
  read(bytes: Uint8Array<ArrayBuffer>): Promise<string | undefined>;
  /** What the message of every error must match: the names of the files. */
  named: RegExp;
}

export interface Outcome {
  read: number;
  refused: number;
  /** Of the processor, in all. */
  seconds: number;
  /** By which the process grew, and the largest single array that was made. */
  bytes: number;
  largest: number;
  /** Errors of the wrong kind, or without the name of a file; what went wrong, and with which file. */
  bad: string[];
}

/** Reads `count` mutated files. The seed is the run's own, so that `--seed` repeats it. */
export async function readMutated(subject: Subject, count = 5000): Promise<Outcome> {
  const random = generator(Number(jasmine.getEnv().configuration()?.seed) || 1);
  const outcome: Outcome = {read: 0, refused: 0, seconds: 0, bytes: 0, largest: 0, bad: []};
  const before = process.memoryUsage().rss;
  const start = process.cpuUsage();
  const spy = spyOnAllocations((bytes) => (outcome.largest = Math.max(outcome.largest, bytes)));
  try {
    for (let i = 0; i < count; i++) {
      const bytes =
        subject.json && random(2) === 0 ? otherValues(subject.json, random) : otherBytes(subject.bytes, random);
      try {
        const wrong = await subject.read(bytes);
        outcome.read++;
        if (wrong !== undefined) outcome.bad.push(`${wrong} in ${shown(bytes)}`);
      } catch (error) {
        outcome.refused++;
        const fits = error instanceof Error && error.constructor === Error && subject.named.test(error.message);
        if (!fits) outcome.bad.push(`${String(error)} of ${shown(bytes)}`);
      }
      if (i % 100 === 0) outcome.bytes = Math.max(outcome.bytes, process.memoryUsage().rss - before);
    }
  } finally {
    spy.restore();
  }
  outcome.seconds = process.cpuUsage(start).user / 1e6;
  return outcome;
}

const shown = (bytes: Uint8Array) => JSON.stringify(new TextDecoder('latin1').decode(bytes));

/** Expects of 5,000 files that each was read or refused as it should be, within the bounds. */
export function expectHarmless({read, refused, seconds, bytes, largest, bad}: Outcome, count = 5000): void {
  expect(bad.slice(0, 3)).toEqual([]);
  expect(read + refused).toBe(count);
  // Neither may be all there is, or the mutations are too strong or too weak to show anything.
  expect(read).toBeGreaterThan(count / 100);
  expect(refused).toBeGreaterThan(count / 10);
  expect(seconds).toBeLessThan(60);
  expect(bytes).toBeLessThan(300 * 1024 * 1024);
  expect(largest).toBeLessThan(16 * 1024 * 1024);
}

type Random = (below: number) => number;

/** Mulberry32. */
function generator(seed: number): Random {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

function otherBytes(bytes: Uint8Array, random: Random): Uint8Array<ArrayBuffer> {
  const tail = random(4) === 0 ? random(4) : 0;
  const length = random(4) === 0 ? random(bytes.length + 1) : bytes.length;
  const changed = new Uint8Array(length + tail);
  changed.set(bytes.subarray(0, length));
  for (let i = 0; i < tail; i++) changed[length + i] = random(256);
  // Headers stand at the beginning, tables of archives at the end.
  const span = Math.min(changed.length, [400, 1000, changed.length][random(3)]);
  const from = random(2) === 0 ? 0 : changed.length - span;
  for (let edits = 1 + random(4); edits > 0 && span > 0; edits--) {
    const at = from + random(span);
    changed[at] = random(2) === 0 ? random(256) : changed[at] ^ (1 << random(8));
  }
  return changed;
}

const oddValues = [
  ...[null, true, false, 0, 1, -1, 0.5, 7, 1e9, 2 ** 31, 2 ** 53, 1e300, '', 'x', '__proto__', '\ud800', [], {}, [0]],
  ...[[-1, 0], [1, 2, 3], {a: 1}, [[[[]]]]],
];

function otherValues(json: NonNullable<Subject['json']>, random: Random): Uint8Array<ArrayBuffer> {
  const value = structuredClone(json.value) as Record<string, unknown>;
  for (let edits = 1 + random(3); edits > 0; edits--) {
    let holder = value;
    for (;;) {
      const keys = Object.keys(holder);
      if (keys.length === 0) break;
      const key = keys[random(keys.length)];
      const inner = holder[key];
      if (typeof inner === 'object' && inner !== null && random(5) > 0) {
        holder = inner as Record<string, unknown>;
        continue;
      }
      const kind = random(8);
      if (kind === 0) delete holder[key];
      else if (kind === 1) holder[`${key}${random(3)}`] = structuredClone(inner);
      else if (kind === 2) holder[key] = structuredClone(holder[keys[random(keys.length)]]);
      else if (kind === 3 && typeof inner === 'number') holder[key] = inner + random(3) - 1;
      else holder[key] = structuredClone(oddValues[random(oddValues.length)]);
      break;
    }
  }
  return Uint8Array.from(json.write(JSON.stringify(value)));
}

/** Sees the size of every Float32Array and Uint8Array that is made by length. */
function spyOnAllocations(seen: (bytes: number) => void): {restore(): void} {
  const originals = {Float32Array, Uint8Array};
  const watch = <T extends typeof Float32Array | typeof Uint8Array>(type: T): T =>
    new Proxy(type, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') seen(args[0] * target.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  Object.assign(globalThis, {Float32Array: watch(Float32Array), Uint8Array: watch(Uint8Array)});
  return {restore: () => void Object.assign(globalThis, originals)};
}

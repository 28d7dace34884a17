import fc from 'fast-check';
import {decodeFloats, encodeFloats, type FloatFormat} from '../../src/checkpoints/floats';
import {bits} from './memoryFiles';

const patterns = Uint16Array.from({length: 65536}, (_, i) => i);

function decode(format: FloatFormat, halves: Uint16Array): Float32Array {
  const out = new Float32Array(halves.length);
  decodeFloats(format, new Uint8Array(halves.buffer), out, 0);
  return out;
}

function encode(format: FloatFormat, values: Float32Array): Uint16Array {
  return new Uint16Array(encodeFloats(format, values).slice().buffer);
}

const encodeOne = (format: FloatFormat, value: number) => encode(format, Float32Array.of(value))[0];

/** The value that a pattern stands for, by the definition of the formats. */
function value(pattern: number, exponentBits: number, fractionBits: number): number {
  const sign = pattern >> 15 ? -1 : 1;
  const exponent = (pattern >> fractionBits) & (2 ** exponentBits - 1);
  const fraction = (pattern & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

const formats = [
  {format: 'F16', exponentBits: 5, fractionBits: 10},
  {format: 'BF16', exponentBits: 8, fractionBits: 7},
] as const;

describe('half floats', () => {
  for (const {format, exponentBits, fractionBits} of formats) {
    it(`${format}: all 65,536 patterns mean what the format defines, and survive the way there and back`, () => {
      const wide = decode(format, patterns);
      const expected = Float32Array.from(patterns, (pattern) => value(pattern, exponentBits, fractionBits));
      expect(wide.findIndex((x, i) => !Object.is(x, expected[i]))).toBe(-1);
      expect(encode(format, wide)).toEqual(patterns);
    });

    it(`${format}: rounds to the nearest, ties to even`, () => {
      const largest = format === 'F16' ? 0x7bff : 0x7f7f;
      // Each finite magnitude, the middle to the next one, and the float32 values on both sides of that middle.
      for (let pattern = 0; pattern < largest; pattern++) {
        const [low, high] = [pattern, pattern + 1].map((p) => value(p, exponentBits, fractionBits)) as [number, number];
        const middle = Float32Array.of((low + high) / 2);
        if (middle[0] !== (low + high) / 2) throw new Error('the middle must be a float32');
        const position = bits(middle);
        const even = pattern + (pattern % 2);
        if (encodeOne(format, middle[0]) !== even) fail(`${middle[0]} must become ${even}`);
        if (encodeOne(format, -middle[0]) !== (even | 0x8000)) fail(`${-middle[0]} must become ${-even}`);
        position[0]--;
        if (encodeOne(format, middle[0]) !== pattern) fail(`${middle[0]} must become ${pattern}`);
        position[0] += 2;
        if (encodeOne(format, middle[0]) !== pattern + 1) fail(`${middle[0]} must become ${pattern + 1}`);
      }
      expect(encodeOne(format, value(largest, exponentBits, fractionBits))).toBe(largest);
    });

    it(`${format}: is never further off than half the distance to a neighbour`, () => {
      const property = fc.property(fc.float({noNaN: true, noDefaultInfinity: true}), (x) => {
        const pattern = encodeOne(format, x);
        const here = value(pattern, exponentBits, fractionBits);
        if (!Number.isFinite(here)) return Math.abs(x) >= (format === 'F16' ? 65520 : (2 - 2 ** -8) * 2 ** 127);
        const neighbours = [pattern - 1, pattern + 1]
          .filter((p) => (p & 0x8000) === (pattern & 0x8000))
          .map((p) => value(p, exponentBits, fractionBits));
        return neighbours.every((other) => Math.abs(x - here) <= Math.abs(x - other));
      });
      expect(() => fc.assert(property, {numRuns: 2000})).not.toThrow();
    });
  }

  it('keeps what is special', () => {
    expect(encodeOne('F16', 65519.996)).toBe(0x7bff);
    expect(encodeOne('F16', 65520)).toBe(0x7c00);
    expect(encodeOne('F16', -1e30)).toBe(0xfc00);
    expect(encodeOne('F16', 2 ** -25)).toBe(0);
    expect(encodeOne('F16', 2 ** -25 * 1.0000001)).toBe(1);
    expect(encodeOne('F16', -0)).toBe(0x8000);
    expect(encodeOne('BF16', 3.4028235e38)).toBe(0x7f80);
    expect(encodeOne('BF16', 1e-45)).toBe(0);
    for (const {format} of formats) {
      for (const nan of [0x7f800001, 0xff800001, 0x7fc00000, 0x7fffffff, 0x7fbfffff]) {
        const narrow = encode(format, new Float32Array(Uint32Array.of(nan).buffer));
        expect(decode(format, narrow)[0])
          .withContext(`${format} ${nan.toString(16)}`)
          .toBeNaN();
        expect(narrow[0] >> 15).toBe(nan >>> 31);
      }
    }
  });

  it('decodes a Buffer that is not aligned, which Node reads files into', () => {
    const padded = Buffer.concat([Buffer.of(0), new Uint8Array(Float32Array.of(1.5, -2).buffer)]);
    const aligned = new ArrayBuffer(16);
    const buffer = Buffer.from(aligned, 0, 9);
    padded.copy(buffer);
    const out = new Float32Array(2);
    decodeFloats('F32', buffer.subarray(1), out, 0);
    expect([...out]).toEqual([1.5, -2]);
  });

  it('decodes bytes that are not aligned, to any place', () => {
    const bytes = new Uint8Array(1 + 8);
    bytes.set(new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x3800, 0).buffer), 1);
    const out = new Float32Array(6);
    decodeFloats('F16', bytes.subarray(1), out, 1);
    expect([...out]).toEqual([0, 1, -2, 0.5, 0, 0]);
    const words = new Uint8Array(1 + 4);
    words.set(new Uint8Array(Float32Array.of(7).buffer), 1);
    decodeFloats('F32', words.subarray(1), out, 5);
    expect(out[5]).toBe(7);
  });
});

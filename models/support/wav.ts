/** WAV files of one channel in 16 bits (RIFF, format 1), which is all that the recordings of spoken digits are. */

export interface Sound {
  /** From -1 to below 1. */
  samples: Float32Array;
  /** Samples per second. */
  rate: number;
}

/**
 * @param name What the error calls it.
 * @throws Error if it is no such file.
 */
export function readWav(bytes: Uint8Array, name: string): Sound {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number) => String.fromCharCode(...bytes.subarray(at, at + 4));
  const refuse = (what: string) => new Error(`${name}: expected a WAV file of one channel in 16 bits, but ${what}`);
  if (bytes.length < 12 || word(0) !== 'RIFF' || word(8) !== 'WAVE') throw refuse('it is no WAV file');
  let rate: number | undefined;
  for (let at = 12; at + 8 <= bytes.length;) {
    const [chunk, size] = [word(at), view.getUint32(at + 4, true)];
    const start = at + 8;
    if (start + size > bytes.length) throw refuse(`its chunk '${chunk}' of ${size} bytes ends beyond the file`);
    if (chunk === 'fmt ') {
      const [format, channels, bits] = [0, 2, 14].map((offset) => view.getUint16(start + offset, true));
      if (format !== 1 || channels !== 1 || bits !== 16) {
        throw refuse(`it has format ${format}, ${channels} channels and ${bits} bits`);
      }
      rate = view.getUint32(start + 4, true);
    } else if (chunk === 'data' && rate !== undefined) {
      const samples = Float32Array.from({length: size >> 1}, (_, i) => view.getInt16(start + 2 * i, true) / 32768);
      return {samples, rate};
    }
    at = start + size + (size & 1);
  }
  throw refuse('it has no samples');
}

/** The bytes of a WAV file; what lies outside -1 … 1 is cut off there. */
export function writeWav({samples, rate}: Sound): Uint8Array {
  const bytes = new Uint8Array(44 + 2 * samples.length);
  const view = new DataView(bytes.buffer);
  const word = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at);
  word(0, 'RIFF');
  view.setUint32(4, bytes.length - 8, true);
  word(8, 'WAVEfmt ');
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, 'data');
  view.setUint32(40, 2 * samples.length, true);
  samples.forEach((value, i) =>
    view.setInt16(44 + 2 * i, Math.max(-32768, Math.min(32767, Math.round(32768 * value))), true),
  );
  return bytes;
}

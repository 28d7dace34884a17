/**
 * The binaries as text that gzip shortens as far as the bytes themselves: one character for the bytes that are common in code, two for the
 * others. `npm run build:wasm` writes it with `toText`, pages have `fromText` only.
 */

/** The characters from `#` to `~` but for the backslash: 91 digits, of which the last two say that the next is of the second or third page. */
const FIRST = 35;
const BACKSLASH = 92;
const PAGE = 89;

/** Bytes are counted from here, so that the first page has the common ones: small numbers, and those just below zero. */
const SHIFT = 252;

export function toText(bytes: Uint8Array): string {
  const character = (digit: number) => {
    const code = FIRST + digit;
    return String.fromCharCode(code < BACKSLASH ? code : code + 1);
  };
  return Array.from(bytes, (byte) => {
    const shifted = (byte - SHIFT) & 255;
    const page = Math.floor(shifted / PAGE);
    return (page > 0 ? character(PAGE + page - 1) : '') + character(shifted % PAGE);
  }).join('');
}

export function fromText(text: string): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  let page = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code - FIRST - Number(code > BACKSLASH);
    if (digit < PAGE) bytes.push((page * PAGE + digit + SHIFT) & 255);
    page = Math.max(0, digit - PAGE + 1);
  }
  return Uint8Array.from(bytes);
}

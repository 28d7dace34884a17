/**
 * The checksum of zip archives (CRC-32, polynomial 0xEDB88320), sixteen bytes at a time by tables, so that checking a weight
 * costs little beside reading it (bench/NOTES.md).
 */

/** tables[256 k + b]: what byte b does to the checksum when k more bytes follow it. */
let tables: Int32Array | undefined;

function makeTables(): Int32Array {
  const made = new Int32Array(16 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let c = byte;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    made[byte] = c;
  }
  for (let i = 256; i < made.length; i++) made[i] = (made[i - 256] >>> 8) ^ made[made[i - 256] & 255];
  return made;
}

/**
 * The checksum of what came before and `bytes`.
 *
 * @param crc The checksum of what came before; 0 at the beginning.
 */
export function crc32(bytes: Uint8Array, crc = 0): number {
  const t = (tables ??= makeTables());
  const head = Math.min(bytes.length, -bytes.byteOffset & 3);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + head, ((bytes.length - head) >>> 4) << 2);
  let c = ~crc;
  for (let i = 0; i < head; i++) c = (c >>> 8) ^ t[(c ^ bytes[i]) & 255];
  for (let i = 0; i < words.length; i += 4) {
    const p = c ^ words[i];
    const q = words[i + 1];
    const r = words[i + 2];
    const s = words[i + 3];
    c =
      t[3840 + (p & 255)] ^
      t[3584 + ((p >>> 8) & 255)] ^
      t[3328 + ((p >>> 16) & 255)] ^
      t[3072 + (p >>> 24)] ^
      t[2816 + (q & 255)] ^
      t[2560 + ((q >>> 8) & 255)] ^
      t[2304 + ((q >>> 16) & 255)] ^
      t[2048 + (q >>> 24)] ^
      t[1792 + (r & 255)] ^
      t[1536 + ((r >>> 8) & 255)] ^
      t[1280 + ((r >>> 16) & 255)] ^
      t[1024 + (r >>> 24)] ^
      t[768 + (s & 255)] ^
      t[512 + ((s >>> 8) & 255)] ^
      t[256 + ((s >>> 16) & 255)] ^
      t[s >>> 24];
  }
  for (let i = head + 4 * words.length; i < bytes.length; i++) c = (c >>> 8) ^ t[(c ^ bytes[i]) & 255];
  return ~c >>> 0;
}

/** A model of its own for who has none: bytes, so that it takes any text. The benchmark trains one like it. */
export const fresh = {vocabSize: 256, dModel: 64, nLayer: 2, dState: 8};

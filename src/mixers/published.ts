/**
 * How published files spell the configuration of a mixer, as tables that reading and writing share. What is common to all models, such
 * as the width and the vocabulary, is the business of `src/checkpoints`.
 */

/** What a file says. */
export type JsonObject = Record<string, unknown>;

/** A family of Hugging Face's: `config.json` with a `model_type`. */
export interface HuggingFaceFamily {
  /** `model_type` */
  modelType: string;
  /** The class in transformers that reads it. */
  architecture: string;
  /** What the file calls our fields. */
  names: Readonly<Record<string, string>>;
  /** What transformers takes where the file is silent and we would take something else. */
  defaults?: JsonObject;
  /** Written beside the fields. */
  alongside?(config: object): JsonObject;
  /** What the file says that no model here can follow, in words after the file's name; undefined if nothing. */
  objection?(json: JsonObject): string | undefined;
  /** Whether a configuration is of this family, where a mixer has several; the first that fits is written. */
  fits?(config: object): boolean;
}

/** A field of ours beside those of the original form. */
export interface Addition {
  /** What the file calls it. */
  name: string;
  /** What the original takes where the file is silent. */
  implied(config: object): unknown;
}

/** The original form: `d_model`, `n_layer` and an `ssm_cfg` with the arguments of the layer's class. */
export interface StateSpacesLayer {
  /** `ssm_cfg.layer` */
  layer: string;
  /** What `ssm_cfg` calls our fields. */
  names: Readonly<Record<string, string>>;
  /**
   * Fields of ours that the original has no name for, and what it takes in their place. They are written only where they say something
   * else, which the original then refuses.
   */
  additions?: Readonly<Record<string, Addition>>;
  /** What is there besides and changes no number. */
  ignored: readonly string[];
  /** As {@link HuggingFaceFamily.objection}, of `ssm_cfg`. */
  objection?(ssm: JsonObject): string | undefined;
}

/** The published forms of a mixer. */
export interface Published {
  huggingFace: readonly HuggingFaceFamily[];
  stateSpaces?: StateSpacesLayer;
}

/** The options of a mixer as files call them, and their names here. */
export function publishedNames({published}: {readonly published?: Published}): Record<string, string> {
  const tables = [...(published?.huggingFace ?? []), published?.stateSpaces];
  return Object.fromEntries(
    tables.flatMap((table) => Object.entries(table?.names ?? {}).map(([ours, theirs]) => [theirs, ours])),
  );
}

/** `adapter_config.json` as PEFT has it (peft/tuners/lora/config.py): what it says of a LoRA, and what of it cannot be followed here. */
import {JsonFields} from '../checkpoints/jsonFields';
import type {JsonObject} from '../checkpoints/json';
import {shown} from '../checkpoints/quote';
import type {AdapterSettings} from './options';
import {lastPart} from './targets';

/** What a file says of an adapter. */
export interface PeftConfig extends AdapterSettings {
  /** The alpha of one weight, which may have its own. */
  alphaOf(path: string): number;
}

/** Fields that change what an adapter computes, in ways unknown here; absent, null, false and empty they say nothing. */
const refused = [
  'lora_bias',
  'modules_to_save',
  'trainable_token_indices',
  'layer_replication',
  'target_parameters',
  'alora_invocation_tokens',
  'use_qalora',
  'use_bdlora',
  'kasa_config',
  'velora_config',
  'monteclora_config',
  'arrow_config',
];

/** Starts that change the base as well, so that the file fits another base than the published one. */
const movesBase = /^(pissa|olora|corda|loftq)/i;

/** @throws Error naming the field that cannot be followed. */
export function readPeftConfig(file: string, json: JsonObject): PeftConfig {
  const fields = new JsonFields(file, json);
  const type = fields.value('peft_type');
  if (type !== 'LORA') fields.refuse('peft_type', type, 'LORA');
  for (const name of refused) if (saysSomething(fields.value(name))) fields.refuse(name, fields.value(name), 'none');
  const bias = fields.value('bias') ?? 'none';
  if (bias !== 'none') fields.refuse('bias', bias, '"none"');
  const start = fields.value('init_lora_weights');
  if (typeof start === 'string' && movesBase.test(start))
    fields.refuse('init_lora_weights', start, 'starts that leave the base as it is');
  const positive = (name: string, value: unknown): number => {
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw new Error(`${file}: ${name} must be a positive number, but is ${shown(value)}`);
  };
  const alpha = positive('lora_alpha', fields.required('lora_alpha'));
  const dropout = fields.number('lora_dropout') ?? 0;
  if (!(dropout >= 0 && dropout < 1))
    throw new Error(`${file}: lora_dropout must be at least 0 and below 1, but is ${dropout}`);
  const patterns = fields.object('alpha_pattern');
  const patterned = patterns.keys().map((key) => ({
    matches: pathMatcher(`${file}: alpha_pattern`, key),
    alpha: positive(`alpha_pattern.${key}`, patterns.value(key)),
  }));
  return {
    rank: positive('r', fields.required('r')),
    alpha,
    dropout,
    rslora: fields.boolean('use_rslora') ?? false,
    dora: fields.boolean('use_dora') ?? false,
    alphaOf: (path) => patterned.find(({matches}) => matches(path))?.alpha ?? alpha,
  };
}

/**
 * What PEFT reads back.
 *
 * @param parts The corrected weights, which may differ in rank and alpha.
 * @param all Every matrix of the model.
 */
export function writtenPeftConfig(
  settings: AdapterSettings,
  parts: ReadonlyArray<{path: string; rank: number; alpha: number}>,
  all: readonly string[],
): JsonObject {
  const pattern = (of: 'rank' | 'alpha') =>
    Object.fromEntries(parts.filter((part) => part[of] !== settings[of]).map((part) => [part.path, part[of]]));
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: null,
    inference_mode: true,
    r: settings.rank,
    lora_alpha: settings.alpha,
    lora_dropout: settings.dropout,
    use_rslora: settings.rslora,
    use_dora: settings.dora,
    target_modules: targetModules(
      parts.map(({path}) => path),
      all,
    ),
    rank_pattern: pattern('rank'),
    alpha_pattern: pattern('alpha'),
    bias: 'none',
    fan_in_fan_out: false,
    modules_to_save: null,
    init_lora_weights: true,
  };
}

/** The last part of a name where every weight of that last part is meant, else the whole name. */
function targetModules(paths: readonly string[], all: readonly string[]): string[] {
  const isWhole = (part: string) => all.every((path) => lastPart(path) !== part || paths.includes(path));
  return [...new Set(paths.map((path) => (isWhole(lastPart(path)) ? lastPart(path) : path)))];
}

function saysSomething(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

/**
 * As PEFT's `get_pattern_key`: a pattern matches a name, or the part of it behind a dot. PEFT takes any regular expression; here it is a
 * name or a part of one, which is what is written, and cannot take for ever to match.
 */
function pathMatcher(what: string, pattern: string): (path: string) => boolean {
  const [, anchor, name] = /^(\^?)([\w.]+)$/.exec(pattern) ?? [];
  if (name === undefined) throw new Error(`${what} has ${shown(pattern)}, where only names can be followed`);
  return (path) => path === name || (anchor === '' && path.endsWith(`.${name}`));
}

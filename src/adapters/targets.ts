/** The weights of a model that can be corrected, and which of them a list of names means. */
import type {WeightEntry} from '../config/weightTable';
import {embedding, weightTable} from '../config/weightTable';
import type {LayerOfMatrices} from '../layers/matrices';
import type {MambaLM} from '../lm/model';
import {didYouMean} from '../mixers/fields';

/** A matrix and its place. */
export interface Target {
  /** Its name in published files, without `.weight`: `backbone.layers.0.mixer.in_proj`. */
  path: string;
  layer: LayerOfMatrices;
  /** Its name in the layer. */
  name: string;
  /** Shape when dense: a kernel's [in, out] or a table's [rows, width]. */
  shape: readonly [number, number];
  /** Whether it is a table, whose rows are looked up. */
  isTable: boolean;
}

const suffix = '.weight';
const usual = ['in_proj', 'x_proj', 'out_proj'];

/** Every matrix of a model. */
export function matricesOf(model: MambaLM): Target[] {
  const isMatrix = ({layout, published}: WeightEntry) => layout === 'transposed' || published === embedding;
  return [...weightTable(model.config)].filter(isMatrix).map(({ours, published, shape}) => {
    const slash = ours.indexOf('/');
    return {
      path: published.slice(0, -suffix.length),
      layer: model.getLayer(ours.slice(0, slash)) as LayerOfMatrices,
      name: ours.slice(slash + 1),
      shape: shape as [number, number],
      isTable: published === embedding,
    };
  });
}

/** @throws Error that lists the names there are, if one matches nothing. */
export function findTargets(op: string, model: MambaLM, names?: readonly string[]): Target[] {
  const all = matricesOf(model);
  const means = (name: string) => (target: Target) => target.path === name || target.path.endsWith(`.${name}`);
  const known = [...new Set(all.map(({path}) => lastPart(path)))];
  for (const name of names ?? []) {
    if (all.some(means(name))) continue;
    if (name === 'lm_head') throw new Error(tiedHead(op));
    throw new Error(
      `${op}: the target ${JSON.stringify(name)} matches no weight; there are ${known.join(', ')}, and each alone, such as ` +
        `${all[all.length > 1 ? 1 : 0].path}${didYouMean(name, known)}`,
    );
  }
  const wanted = names ?? usual.filter((name) => known.includes(name));
  if (wanted.length === 0) throw new Error(`${op}: targets must name some of ${known.join(', ')}`);
  return all.filter((target) => wanted.some((name) => means(name)(target)));
}

/** Corrected alone, a head that is the embedding would be so no longer, and could not be merged. */
export function tiedHead(op: string): string {
  return `${op}: the head of this model is its embedding; the target 'embeddings' corrects both`;
}

/** `in_proj` of `backbone.layers.0.mixer.in_proj`. */
export function lastPart(path: string): string {
  return path.slice(path.lastIndexOf('.') + 1);
}

/**
 * Draws what `npm run reproduce -- scaling` left: `node --import tsx models/scaling/draw.ts runs/scaling` makes `curves.svg` and `law.svg` beside
 * this file, keeps the figures in `results.json` and prints the table of the card.
 */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Line} from '../../bench/chart';
import {chart} from '../../bench/chart';
import type {CurvePoint} from '../support/language';
import type {Architecture, Size} from './sizes';
import {architectures, sizes} from './sizes';

interface Run {
  architecture: Architecture;
  size: Size;
  seed: number;
  parameters: number;
  steps: number;
  seconds: number;
  /** Nats a byte of all that is held out, and in rows four times as long as those of the training. */
  heldOut: number;
  inLongerRows: number;
  curve: CurvePoint[];
  machine: object;
}

const folder = process.argv[2];
const file = join(import.meta.dirname, 'results.json');
const runs: Run[] = folder
  ? readdirSync(folder).sort().map((name) => JSON.parse(readFileSync(join(folder, name, 'result.json'), 'utf8')) as Run)
  : (JSON.parse(readFileSync(file, 'utf8')) as Run[]);
const kept = runs.map(({architecture, size, seed, parameters, steps, seconds, heldOut, inLongerRows, curve, machine}) => {
  const points = curve.map((point) => ({...point, seconds: Math.round(10 * point.seconds) / 10, training: round(point.training), validation: round(point.validation)}));
  return {architecture, size, seed, parameters, steps, seconds: Math.round(seconds), heldOut: round(heldOut), inLongerRows: round(inLongerRows), curve: points, machine};
});
writeFileSync(file, `[\n${kept.map((run) => JSON.stringify(run)).join(',\n')}\n]\n`);

const of = (architecture: Architecture, size: Size) => kept.filter((run) => run.architecture === architecture && run.size === size);
const names = Object.keys(sizes) as Size[];
const curves = names.flatMap((size, group) =>
  architectures.flatMap((architecture) =>
    of(architecture, size).slice(0, 1).map<Line>(({curve}) => ({
      ...{name: `${architecture} ${size}`, group, dashed: architecture === 'transformer'},
      points: curve.filter(({step}) => step >= 100).map(({step, validation}) => [step, validation]),
    })),
  ),
);
const law = architectures.map<Line>((architecture) => ({
  ...{name: architecture, dashed: architecture === 'transformer'},
  points: names.filter((size) => of(architecture, size).length > 0).map((size) => {
    const list = of(architecture, size);
    return [list[0].parameters, mean(list.map(({heldOut}) => heldOut))];
  }),
}));
const y = {label: 'nats a byte, held out'};
save('curves', chart(curves, {title: 'Loss while training, seed 1', x: {label: 'steps of 2,048 bytes'}, y}));
save('law', chart(law, {title: 'Loss over size', x: {label: 'parameters', log: 10}, y}));
for (const size of names) {
  for (const architecture of architectures) {
    const list = of(architecture, size);
    if (list.length === 0) continue;
    const losses = list.map(({heldOut}) => heldOut);
    const cells = [
      ...[architecture, list[0].parameters.toLocaleString('en'), list.map(({steps}) => steps).join(', ')],
      ...[mean(losses).toFixed(3), losses.map((loss) => loss.toFixed(3)).join(', ')],
      ...[mean(list.map(({inLongerRows}) => inLongerRows)).toFixed(3), list.map(({seconds}) => seconds).join(', ')],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function save(name: string, svg: string): void {
  writeFileSync(join(import.meta.dirname, `${name}.svg`), svg);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function round(value: number): number {
  return Math.round(1e4 * value) / 1e4;
}

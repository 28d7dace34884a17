/**
 * Draws what `npm run reproduce -- scaling` left: `node --import tsx models/scaling/draw.ts runs/scaling` makes `curves.svg` beside this file, keeps the figures in `results.json` and prints the table of the card.
 */
import {readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import type {Line} from '../../bench/chart';
import {chart} from '../../bench/chart';
import type {CurvePoint} from '../support/language';
import {spread} from '../support/spread';
import {recipe} from './recipe';
import type {Architecture, Size} from './sizes';
import {architectures, sizes} from './sizes';

interface Run {
  architecture: Architecture;
  size: Size;
  seed: number;
  parameters: number;
  steps: number;
  seconds: number;
  /** Nats a byte of all that is held out, and in rows four times as long as those of the training; none of a run that was cut short. */
  heldOut?: number;
  inLongerRows?: number;
  curve: CurvePoint[];
  machine: object;
}

const folder = process.argv[2];
const file = join(import.meta.dirname, 'results.json');
const runs: Run[] = folder
  ? readdirSync(folder)
      .sort()
      .map((name) => JSON.parse(readFileSync(join(folder, name, 'result.json'), 'utf8')) as Run)
  : (JSON.parse(readFileSync(file, 'utf8')) as Run[]);
const kept = runs.map(
  ({architecture, size, seed, parameters, steps, seconds, heldOut, inLongerRows, curve, machine}) => {
    const points = curve.map((point) => ({
      ...point,
      seconds: Math.round(10 * point.seconds) / 10,
      training: round(point.training),
      validation: round(point.validation),
    }));
    return {
      architecture,
      size,
      seed,
      parameters,
      steps,
      seconds: Math.round(seconds),
      heldOut: heldOut && round(heldOut),
      inLongerRows: inLongerRows && round(inLongerRows),
      curve: points,
      machine,
    };
  },
);
writeFileSync(file, `[\n${kept.map((run) => JSON.stringify(run)).join(',\n')}\n]\n`);

const of = (architecture: Architecture, size: Size) =>
  kept.filter((run) => run.architecture === architecture && run.size === size);
const names = Object.keys(sizes) as Size[];
const curves = names.flatMap((size, group) =>
  architectures.flatMap((architecture) =>
    of(architecture, size)
      .slice(0, 1)
      .map<Line>(({curve}) => ({
        ...{name: `${architecture} ${size}`, group, dashed: architecture === 'transformer'},
        points: curve.filter(({step}) => step >= 100).map(({step, validation}) => [step, validation]),
      })),
  ),
);
const y = {label: 'nats a byte, held out'};
save('curves', chart(curves, {title: 'Loss while training, seed 1', x: {label: 'steps of 2,048 bytes'}, y}));
for (const size of names) {
  // The last step that all have come to, in the curves.
  const common = Math.min(...kept.filter((run) => run.size === size).map(reached));
  for (const architecture of architectures) {
    const list = of(architecture, size);
    const each = (figure: (run: (typeof kept)[number]) => number | undefined) =>
      list.map(figure).filter((value) => value !== undefined);
    const around = (values: number[]) => {
      const {mean, deviation} = spread(values);
      if (values.length < 2) return values.length > 0 ? values[0].toFixed(3) : '–';
      return `${mean.toFixed(3)} ± ${deviation.toFixed(3)} of ${values.length}`;
    };
    const cells = [
      ...[size, architecture, list[0].parameters.toLocaleString('en'), each(({seed}) => seed).join(', ')],
      ...[each(({steps}) => steps).join(', '), each(({seconds}) => seconds).join(', ')],
      ...[around(each(({curve}) => curve.find(({step}) => step === common)?.validation)) + ` (${common})`],
      ...[around(each(({heldOut}) => heldOut)), around(each(({inLongerRows}) => inLongerRows))],
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}

function reached({curve}: {curve: CurvePoint[]}): number {
  return Math.max(...curve.filter(({step}) => step % recipe.every === 0).map(({step}) => step));
}

function save(name: string, svg: string): void {
  writeFileSync(join(import.meta.dirname, `${name}.svg`), svg);
}

function round(value: number): number {
  return Math.round(1e4 * value) / 1e4;
}

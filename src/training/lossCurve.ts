/** A picture of a training run: its losses over the steps, as an SVG that a page, a README or a file takes as it is. */
import type * as tf from '@tensorflow/tfjs';
import {checkKeys, describe} from '../ops/check';

/** A loss and the step, or the epoch, after which it was. */
export interface LossPoint {
  step: number;
  loss: number;
}

/**
 * What {@link lossCurve} draws: points as `onStep` and `onValidation` of a trainer's callbacks are given them; losses alone, for steps 1,
 * 2, …; several such curves by their names; or the `tf.History` of `model.fit`, whose losses are its curves.
 */
export type LossHistory = LossSeries | Readonly<Record<string, LossSeries>> | tf.History;

/** One curve. */
export type LossSeries = readonly LossPoint[] | readonly number[];

/** The options of {@link lossCurve}. */
export interface LossCurveOptions {
  /** Pixels (640 and 360). */
  width?: number;
  height?: number;
  /** A line of text above. */
  title?: string;
}

const OP = 'lossCurve';
const colours = ['#3b6fb6', '#d1672b', '#3d8f5f', '#8a5aa8'];
/** Room for the numbers at the axes and the text above. */
const margin = {left: 52, right: 16, top: 34, bottom: 40};

/**
 * @returns The text of an SVG.
 * @throws Error naming what is wrong with the history or the options.
 */
export function lossCurve(history: LossHistory, options: LossCurveOptions = {}): string {
  checkKeys(OP, options, ['width', 'height', 'title']);
  const {width = 640, height = 360, title = ''} = options;
  for (const [name, size] of Object.entries({width, height})) {
    if (!(Number.isFinite(size) && size >= 160))
      throw new Error(`${OP}: ${name} must be 160 pixels or more, but is ${size}`);
  }
  const curves = readCurves(history);
  const points = curves.flatMap(({points}) => points);
  const x = axis(
    points.map(({step}) => step),
    margin.left,
    width - margin.right,
  );
  const y = axis(
    points.map(({loss}) => loss),
    height - margin.bottom,
    margin.top,
  );
  const line = ({points}: Curve, i: number) =>
    `<polyline fill="none" stroke="${colours[i % colours.length]}" stroke-width="1.5" stroke-linejoin="round" points="` +
    `${points.map(({step, loss}) => `${round(x.at(step))},${round(y.at(loss))}`).join(' ')}"/>`;
  const xTick = (value: number) => text(x.at(value), height - margin.bottom + 18, value.toLocaleString('en'), 'middle');
  const yTick = (value: number) =>
    `<line x1="${margin.left}" x2="${width - margin.right}" y1="${round(y.at(value))}" y2="${round(y.at(value))}" stroke="#8884"/>` +
    text(margin.left - 8, y.at(value) + 4, String(round(value, 4)), 'end');
  const legend = ({name}: Curve, i: number) =>
    text(width - margin.right - 110 * (curves.length - 1 - i), 20, name, 'end', colours[i % colours.length]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ' font-family="system-ui, sans-serif" font-size="12" fill="#777">',
    ...y.ticks.map(yTick),
    ...x.ticks.map(xTick),
    text(margin.left, 20, title, 'start'),
    ...curves.map(legend),
    ...curves.map(line),
    '</svg>',
  ].join('\n');
}

interface Curve {
  name: string;
  points: LossPoint[];
}

function readCurves(history: LossHistory): Curve[] {
  if (typeof history !== 'object' || history === null) {
    throw new Error(
      `${OP}: history must be points {step, loss}, losses, curves by name or a tf.History, but is ${describe(history)}`,
    );
  }
  if ('report' in history) {
    throw new Error(
      `${OP}: history is what fit gives, which has the last loss alone; its callback onStep is told each`,
    );
  }
  const isHistory = !Array.isArray(history) && Array.isArray((history as Partial<tf.History>).epoch);
  const named = Array.isArray(history)
    ? {loss: history as LossSeries}
    : isHistory
      ? lossesOf(history as tf.History)
      : (history as Record<string, LossSeries>);
  const curves = Object.entries(named).map(([name, series]) => ({name, points: readPoints(name, series)}));
  if (curves.every(({points}) => points.length === 0)) throw new Error(`${OP}: history must have a loss, but has none`);
  return curves;
}

/** The losses of a fit, without its other metrics, which have another measure. */
function lossesOf({history}: tf.History): Record<string, LossSeries> {
  return Object.fromEntries(
    Object.entries(history).filter((entry): entry is [string, number[]] => ['loss', 'val_loss'].includes(entry[0])),
  );
}

function readPoints(name: string, series: unknown): LossPoint[] {
  if (!Array.isArray(series)) throw new Error(`${OP}: ${name} must be a list of losses, but is ${describe(series)}`);
  return series.map((item: unknown, i) => {
    const {step, loss} = (typeof item === 'number' ? {step: i + 1, loss: item} : (item ?? {})) as LossPoint;
    if (!Number.isFinite(step) || !Number.isFinite(loss)) {
      throw new Error(`${OP}: ${name}[${i}] must be a finite loss, or {step, loss}, but is ${JSON.stringify(item)}`);
    }
    return {step, loss};
  });
}

/** Where values lie between two pixels, and round values to write there. */
function axis(values: readonly number[], from: number, to: number): {at: (value: number) => number; ticks: number[]} {
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const span = high - low || Math.abs(low) || 1;
  const start = high > low ? low : low - span / 2;
  const power = 10 ** Math.floor(Math.log10(span / 4));
  const step = power * [1, 2, 5, 10].find((factor) => span / (factor * power) <= 6)!;
  const first = Math.ceil(start / step);
  const count = Math.floor((start + span) / step) - first + 1;
  return {
    at: (value) => from + ((value - start) / span) * (to - from),
    ticks: Array.from({length: count}, (_, i) => round((first + i) * step, 12)),
  };
}

function text(x: number, y: number, content: string, anchor: string, colour?: string): string {
  const escaped = content.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}"${colour ? ` fill="${colour}"` : ''}>${escaped}</text>`;
}

function round(value: number, digits = 1): number {
  return Number(value.toFixed(digits));
}

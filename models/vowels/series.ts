/** Series with classes, and the text format `.ts` of the UEA and UCR archives that they come in. */

export interface Series {
  /** One array of values a channel, all of one length. */
  channels: Float32Array[];
  /** Counted from 0. */
  label: number;
}

/**
 * The series of a `.ts` file: after `@data` one a line, channels divided by colons, values by commas, the class at the end.
 *
 * @param name What the error calls it.
 * @throws Error naming the line that is none.
 */
export function parseSeries(text: string, name: string): Series[] {
  const lines = text.split(/\r?\n/);
  const [classLine] = lines.filter((line) => line.startsWith('@classLabel true'));
  const first = 1 + lines.indexOf('@data');
  if (classLine === undefined || first === 0)
    throw new Error(`${name}: expected a .ts file with @classLabel and @data`);
  const classes = classLine.trim().split(/\s+/).slice(2);
  return lines.slice(first).flatMap((line, i) => {
    if (line === '') return [];
    const parts = line.split(':');
    const label = classes.indexOf(parts.pop()!.trim());
    const channels = parts.map((part) => Float32Array.from(part.split(','), Number));
    const isSeries =
      label >= 0 &&
      channels.length > 0 &&
      channels.every((values) => values.length === channels[0].length && values.every(Number.isFinite));
    if (!isSeries) throw new Error(`${name}: line ${first + i + 1} is no series of a class that @classLabel names`);
    return [{channels, label}];
  });
}

/** Of the values of a channel. */
export interface Scale {
  mean: number;
  deviation: number;
}

export function scaleOf(values: readonly number[]): Scale {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {mean, deviation: Math.sqrt(squares / values.length)};
}

/** Series whose channels of these scales have mean 0 and deviation 1. */
export function scaled(series: readonly Series[], scales: readonly Scale[]): Series[] {
  return series.map(({channels, label}) => {
    const values = channels.map((channel, i) => channel.map((value) => (value - scales[i].mean) / scales[i].deviation));
    return {channels: values, label};
  });
}

/** Hourly weather out of its table, without gaps, and as what the models see of it. */

export const stations = ['EWR', 'JFK', 'LGA'] as const;
/** Months up to September are for training. */
export const trainingEnd = Date.UTC(2013, 9, 1);
const HOUR = 3600e3;

/** What the models see of an hour. */
export const FEATURES = 10;

/** The weather of a station, an hour after another without gap. */
export interface Weather {
  station: string;
  /** Of the first hour, in milliseconds UTC. */
  start: number;
  /** °C. */
  temperature: Float32Array;
  /** [hours,FEATURES]; each about 0 and within a few units of it. */
  features: Float32Array;
}

/** The first hour at or after a time. */
export const hourAt = ({start}: Weather, time: number): number => Math.ceil((time - start) / HOUR);

type Row = Record<(typeof columns)[number], number>;
const columns = ['temp', 'dewp', 'humid', 'wind_dir', 'wind_speed', 'precip', 'pressure', 'visib'] as const;

/**
 * @param name What the error calls the table.
 * @throws Error if it is not that table.
 */
export function parseWeather(csv: string, name: string): Weather[] {
  const [header, ...lines] = csv.trimEnd().split(/\r?\n/);
  const titles = header.split(',');
  const place = (title: string) => {
    const found = titles.indexOf(title);
    if (found < 0) throw new Error(`${name}: there is no column ${title}`);
    return found;
  };
  const [station, time, wanted] = [place('origin'), place('time_hour'), columns.map(place)];
  const table = lines.map((line) => line.split(','));
  return stations.flatMap((code) => {
    const rows = table.filter((row) => row[station] === code);
    if (rows.length === 0) return [];
    const start = Date.parse(rows[0][time]);
    const hours = 1 + Math.round((Date.parse(rows.at(-1)![time]) - start) / HOUR);
    const known = new Array<Row | undefined>(hours);
    for (const row of rows) {
      const values = wanted.map((column) => (row[column] === 'NA' ? NaN : Number(row[column])));
      known[Math.round((Date.parse(row[time]) - start) / HOUR)] = Object.fromEntries(
        columns.map((column, i) => [column, values[i]]),
      ) as Row;
    }
    return [{station: code, start, ...describe(start, carriedOn(known))}];
  });
}

/** What is missing is as it was last: nothing is known of an hour before it has come. */
function carriedOn(rows: ReadonlyArray<Row | undefined>): Row[] {
  let last: Row = {temp: 50, dewp: 40, humid: 60, wind_dir: 0, wind_speed: 0, precip: 0, pressure: 1017, visib: 10};
  return Array.from(rows, (row) => {
    const entries = columns.map((column) => [column, Number.isNaN(row?.[column] ?? NaN) ? last[column] : row![column]]);
    return (last = Object.fromEntries(entries) as Row);
  });
}

const celsius = (fahrenheit: number): number => ((fahrenheit - 32) * 5) / 9;

function describe(start: number, rows: readonly Row[]): Pick<Weather, 'temperature' | 'features'> {
  const temperature = Float32Array.from(rows, ({temp}) => celsius(temp));
  const features = new Float32Array(rows.length * FEATURES);
  rows.forEach((row, t) => {
    const day = (2 * Math.PI * ((start / HOUR + t) % 24)) / 24;
    const wind = (2 * Math.PI * row.wind_dir) / 360;
    const values = [
      ...[(celsius(row.temp) - 13) / 10, (celsius(row.dewp) - 5) / 10, (row.humid - 62) / 20],
      ...[(row.wind_speed * Math.sin(wind)) / 10, (row.wind_speed * Math.cos(wind)) / 10],
      ...[Math.min(row.precip, 0.2) * 10, (row.pressure - 1017) / 7, (row.visib - 9) / 2],
      ...[Math.sin(day), Math.cos(day)],
    ];
    features.set(values, t * FEATURES);
  });
  return {temperature, features};
}

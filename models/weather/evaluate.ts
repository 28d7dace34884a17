/** Errors of forecasts on the months that training has not seen, in °C. */
import * as tf from '@tensorflow/tfjs';
import type {Weather} from './table';
import {hourAt, trainingEnd} from './table';
import {HORIZON, UNIT} from './models';
import {weatherBatch} from './windows';

/** Hours that are read before the first forecast that counts: a week. */
export const READ_BEFORE = 168;

/** Mean absolute errors: of all 24 hours ahead together, and of each. */
export interface Errors {
  mean: number;
  ahead: number[];
}

/** What is forecast at hour t of a series for so many hours ahead. */
type Forecast = (weather: Weather, t: number, ahead: number) => number;

/** As now. */
export const persistence: Forecast = ({temperature}, t) => temperature[t];
/** As yesterday at that hour. */
export const seasonalNaive: Forecast = ({temperature}, t, ahead) => temperature[t + ahead - HORIZON];

/** Errors of a forecast by rule, from `from` on. */
export function errorsOf(forecast: Forecast, stations: readonly Weather[], from = trainingEnd): Errors {
  const ahead = new Array<number>(HORIZON).fill(0);
  let hours = 0;
  for (const weather of stations) {
    for (let t = hourAt(weather, from); t + HORIZON < weather.temperature.length; t++, hours++) {
      for (let h = 1; h <= HORIZON; h++) {
        ahead[h - 1] += Math.abs(forecast(weather, t, h) - weather.temperature[t + h]);
      }
    }
  }
  return summary(ahead.map((sum) => sum / hours));
}

const summary = (ahead: number[]): Errors => ({mean: ahead.reduce((sum, value) => sum + value, 0) / HORIZON, ahead});

/** Errors of a model, which reads each station in one pass, a week before `from` on. */
export async function modelErrors(
  model: tf.LayersModel,
  stations: readonly Weather[],
  from = trainingEnd,
): Promise<Errors> {
  const ahead = new Array<number>(HORIZON).fill(0);
  let hours = 0;
  for (const weather of stations) {
    const first = hourAt(weather, from) - READ_BEFORE;
    const length = weather.temperature.length - HORIZON - first;
    const {xs, ys} = weatherBatch([{weather, first}], length);
    const errors = tf.tidy(() => {
      const differences = (model.predict(xs) as tf.Tensor).sub(ys).abs();
      return differences.slice([0, READ_BEFORE, 0], [-1, -1, -1]).sum([0, 1]).mul(UNIT);
    });
    (await errors.data()).forEach((sum, h) => (ahead[h] += sum));
    hours += length - READ_BEFORE;
    tf.dispose([xs, ys, errors]);
  }
  return summary(ahead.map((sum) => sum / hours));
}

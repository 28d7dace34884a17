/** What mixers have in common of their configuration: checks of fields that must agree with others. */
import {wrongField} from './fields';

/** Channels inside a mixer: as given, or expand · dModel, rounded down. */
export function innerWidth(owner: string, {expand, dInner}: {expand: number; dInner?: number}, dModel: number): number {
  const width = dInner ?? Math.floor(expand * dModel);
  if (width < 1) throw wrongField(owner, `expand · dModel, ${expand} · ${dModel},`, 'at least 1', width);
  return width;
}

/** The range of the first step sizes. */
export function checkStepSizes(owner: string, given: object): void {
  const {dtMin, dtMax} = given as {dtMin: number; dtMax: number};
  if (dtMin > dtMax) throw wrongField(owner, 'dtMin', `at most dtMax, ${dtMax}`, dtMin);
}

/** Seeds for what is dropped in training, one after the other: how far they have come is a number, which a checkpoint keeps. */
import {seedFor} from './initializers';

/** What all further seeds follow from. */
export type DrawsState = [start: number, drawn: number];

export class Draws {
  private drawn = 0;

  /** @param start Another every time if left out. */
  constructor(private start = Math.floor(Math.random() * 2 ** 31)) {}

  next(): number {
    return seedFor(this.start, `dropout/${this.drawn++}`)!;
  }

  get state(): DrawsState {
    return [this.start, this.drawn];
  }

  set state([start, drawn]: DrawsState) {
    this.start = start;
    this.drawn = drawn;
  }
}

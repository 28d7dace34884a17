/** Making elements in one expression, and what several views share of the page. */

type Attributes = Record<string, unknown>;
type Child = Node | string | undefined;

/** An element with attributes (`onclick` and the like are listeners, booleans are there or not) and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

let fields = 0;

/** A labelled control. Its name is the label alone; the hint is its description, so that it is read after the name and not as part of it. */
export function field(label: string, control: HTMLElement, hint?: string): HTMLLabelElement {
  const id = `field-${fields++}`;
  const name = el('span', {id}, label);
  if (hint === undefined) return el('label', {class: 'field'}, name, control);
  control.setAttribute('aria-labelledby', id);
  control.setAttribute('aria-describedby', `${id}-hint`);
  return el('label', {class: 'field'}, name, control, el('small', {id: `${id}-hint`}, hint));
}

/** Disables one of two buttons and enables the other, which takes over its focus: who goes by keyboard would lose the place with it. */
export function handOver(from: HTMLButtonElement, to: HTMLButtonElement): void {
  const hasFocus = document.activeElement === from;
  to.disabled = false;
  from.disabled = true;
  if (hasFocus) to.focus();
}

/** Disables a button; what this gives enables it, with the focus that it had unless that has gone elsewhere. */
export function disable(button: HTMLButtonElement): () => void {
  const hadFocus = document.activeElement === button;
  button.disabled = true;
  return () => {
    const isLost = [button, document.body].includes(document.activeElement as HTMLElement);
    button.disabled = false;
    if (hadFocus && isLost) button.focus();
  };
}

/** A labelled number, a whole one if its step is; it is not given if it is none or out of range. */
export function number(label: string, value: number, range: {min?: number; max?: number; step?: number} = {}) {
  const input = el('input', {type: 'number', value, inputmode: 'decimal', ...range});
  const {min = -Infinity, max = Infinity, step = 0.1} = range;
  const isWhole = Number.isInteger(step);
  const get = () => {
    const value = Number(input.value);
    const isRight = input.value !== '' && value >= min && value <= max;
    if (isRight && (!isWhole || Number.isInteger(value))) return value;
    throw new Error(
      `${label}: a ${isWhole ? 'whole ' : ''}number ${max === Infinity ? `of at least ${min}` : `from ${min} to ${max}`}, please.`,
    );
  };
  return {field: field(label, input), get, set: (to: number) => (input.value = String(to))};
}

/** Milliseconds between what is read out of how far something is. */
const HEARD_EVERY = 10_000;

/** A line that says what goes on, and is read out. */
export function statusLine() {
  const line = el('p', {class: 'status', role: 'status'});
  let heard = -Infinity;
  const write = (text: string, isHeard: boolean, isWrong = false) => {
    if (isHeard) heard = performance.now();
    line.setAttribute('aria-live', isHeard ? 'polite' : 'off');
    line.classList.toggle('wrong', isWrong);
    line.textContent = text;
  };
  return {
    line,
    say: (text: string) => write(text, true),
    /** How far it is: seen at once, but read out now and then, as nobody can listen to every token. */
    progress: (text: string) => write(text, performance.now() - heard >= HEARD_EVERY),
    /** Of an abort there is nothing to say. */
    fail(error: unknown) {
      const {name, message} = error as Error;
      if (name === 'AbortError') return;
      // What a program would do, the page does when the model is loaded anew; a run goes on from where it was kept.
      const [, lost] = /^(.* was lost)/.exec(message) ?? [];
      write(lost ? `${lost}. Load the model again, above; a run that was kept goes on then.` : message, true, true);
    },
  };
}

/** Offers bytes as a file. */
export function download(name: string, bytes: BlobPart): void {
  const url = URL.createObjectURL(new Blob([bytes]));
  el('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

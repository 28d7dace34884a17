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

/** A labelled control. */
export function field(label: string, control: HTMLElement, hint?: string): HTMLLabelElement {
  return el('label', {class: 'field'}, el('span', {}, label), control, hint ? el('small', {}, hint) : undefined);
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

/** A line that says what goes on, and is read out. */
export function statusLine() {
  const line = el('p', {class: 'status', role: 'status'});
  return {
    line,
    say(text: string) {
      line.classList.remove('wrong');
      line.textContent = text;
    },
    /** Of an abort there is nothing to say. */
    fail(error: unknown) {
      const {name, message} = error as Error;
      if (name === 'AbortError') return;
      line.classList.add('wrong');
      // What a program would do, the page does when the model is loaded anew; a run goes on from where it was kept.
      const [, lost] = /^(.* was lost)/.exec(message) ?? [];
      line.textContent = lost ? `${lost}. Load the model again, above; a run that was kept goes on then.` : message;
    },
  };
}

/** Offers bytes as a file. */
export function download(name: string, bytes: BlobPart): void {
  const url = URL.createObjectURL(new Blob([bytes]));
  el('a', {href: url, download: name}).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** What files say, fit for an error message: short, however long it is. */

const maxLength = 200;

/** A name, in quotation marks. */
export function quote(name: string): string {
  return JSON.stringify(cut(name));
}

/** A value, as JSON. */
export function shown(value: unknown): string {
  return typeof value === 'string' ? quote(value) : cut(JSON.stringify(value) ?? String(value));
}

function cut(text: string): string {
  return text.length > maxLength ? `${text.slice(0, maxLength)}…` : text;
}

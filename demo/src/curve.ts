/** Curves of what happens over steps or over a text, in the page's own colours. (`lossCurve` of the package would bring TensorFlow.js, which only the worker has.) */

export interface Point {
  x: number;
  y: number;
}

/** How numbers are written, and where the axis upwards begins. */
export interface Axes {
  x(value: number): string;
  y(value: number): string;
  fromZero?: boolean;
}

const [height, left, bottom, top] = [240, 64, 24, 24];

/**
 * An SVG of curves by name, without points that are not finite; empty if there is nothing to draw.
 *
 * @param width Pixels.
 */
export function drawCurves(given: Record<string, Point[]>, width: number, axes: Axes): SVGSVGElement {
  const finite = (points: Point[]) => points.filter(({y}) => Number.isFinite(y));
  const curves = Object.fromEntries(Object.entries(given).map(([name, points]) => [name, finite(points)]));
  const all = Object.values(curves).flat();
  const last = Math.max(1, ...all.map(({x}) => x));
  const values = all.map(({y}) => y);
  const [low, high] = [axes.fromZero ? 0 : Math.min(...values), Math.max(...values)];
  const across = (x: number) => left + ((width - left - 8) * x) / last;
  const up = (y: number) => height - bottom - ((height - bottom - top) * (y - low)) / (high - low || 1);
  const svg = make('svg', {viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true'});
  const label = (text: string, attributes: Record<string, string | number>) =>
    svg.append(Object.assign(make('text', attributes), {textContent: text}));
  if (all.length > 0) {
    for (const y of high > low ? [low, high] : [low]) {
      label(axes.y(y), {x: left - 8, y: up(y) + 4, 'text-anchor': 'end'});
      svg.append(make('line', {x1: left, x2: width - 8, y1: up(y), y2: up(y)}));
    }
    label(axes.x(last), {x: width - 8, y: height - 6, 'text-anchor': 'end'});
  }
  let from = left;
  Object.entries(curves).forEach(([name, points], i) => {
    if (points.length === 0) return;
    // One point alone is a line to itself, which shows as a dot.
    const path = [points[0], ...points].map(({x, y}) => `${across(x).toFixed(1)},${up(y).toFixed(1)}`).join(' ');
    svg.append(make('polyline', {points: path, class: `curve-${i}`}));
    label(name, {x: from, y: 14, class: `curve-${i}`});
    from += 12 + 6.5 * name.length;
  });
  return svg;
}

function make<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number>) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

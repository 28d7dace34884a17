/** Losses over steps, drawn with the page's own colours. (`lossCurve` of the package would bring TensorFlow.js, which only the worker has.) */

export interface Point {
  step: number;
  loss: number;
}

const [height, left, bottom, top] = [240, 44, 24, 24];

/**
 * An SVG of curves by name, without losses that are not finite; empty if there is nothing to draw.
 *
 * @param width Pixels.
 */
export function drawCurves(given: Record<string, Point[]>, width: number): SVGSVGElement {
  const finite = (points: Point[]) => points.filter(({loss}) => Number.isFinite(loss));
  const curves = Object.fromEntries(Object.entries(given).map(([name, points]) => [name, finite(points)]));
  const all = Object.values(curves).flat();
  const last = Math.max(1, ...all.map(({step}) => step));
  const [low, high] = [Math.min(...all.map(({loss}) => loss)), Math.max(...all.map(({loss}) => loss))];
  const x = (step: number) => left + ((width - left - 8) * step) / last;
  const y = (loss: number) => height - bottom - ((height - bottom - top) * (loss - low)) / (high - low || 1);
  const svg = make('svg', {viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true'});
  const label = (text: string, attributes: Record<string, string | number>) =>
    svg.append(Object.assign(make('text', attributes), {textContent: text}));
  if (all.length > 0) {
    for (const loss of high > low ? [low, high] : [low]) {
      label(loss.toFixed(2), {x: left - 8, y: y(loss) + 4, 'text-anchor': 'end'});
      svg.append(make('line', {x1: left, x2: width - 8, y1: y(loss), y2: y(loss)}));
    }
    label(`step ${last}`, {x: width - 8, y: height - 6, 'text-anchor': 'end'});
  }
  Object.entries(curves).forEach(([name, points], i) => {
    if (points.length === 0) return;
    const path = points.map(({step, loss}) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(' ');
    svg.append(make('polyline', {points: path, class: `curve-${i}`}));
    label(name, {x: left + 90 * i, y: 14, class: `curve-${i}`});
  });
  return svg;
}

function make<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Record<string, string | number>) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  return element;
}

/** A chart as SVG: lines over logarithmic or plain axes, with their names beside their ends. For pages light and dark. */

export interface Line {
  name: string;
  points: ReadonlyArray<readonly [x: number, y: number]>;
  /** Dashed, for what is compared with. */
  dashed?: boolean;
  /** Lines of one group have one colour. */
  group?: number;
}

export interface ChartOptions {
  title: string;
  x: AxisOptions;
  y: AxisOptions;
}

interface AxisOptions {
  label: string;
  /** Whether the axis is logarithmic: of base 2 or 10. */
  log?: 2 | 10;
}

const [width, height] = [760, 400];
const margin = {left: 64, right: 214, top: 40, bottom: 52};
const colours = ['#3b6fb6', '#d1672b', '#3d8f5f', '#8a5aa8', '#b03a48', '#7a7a7a'];
/** Pixels between two names at the right. */
const lineHeight = 14;

/** @returns The text of an SVG. */
export function chart(lines: readonly Line[], {title, x, y}: ChartOptions): string {
  const points = lines.flatMap((line) => line.points);
  const across = axis(
    points.map(([value]) => value),
    x.log,
    margin.left,
    width - margin.right,
  );
  const up = axis(
    points.map(([, value]) => value),
    y.log,
    height - margin.bottom,
    margin.top,
  );
  const parts = [
    ...across.ticks.map(
      ([at, label]) =>
        `<path class="grid" d="M${at} ${margin.top}V${height - margin.bottom}"/>${text(at, height - margin.bottom + 18, label, 'middle')}`,
    ),
    ...up.ticks.map(
      ([at, label]) =>
        `<path class="grid" d="M${margin.left} ${at}H${width - margin.right}"/>${text(margin.left - 8, at + 4, label, 'end')}`,
    ),
    text(margin.left, 22, title, 'start', 'font-weight="bold"'),
    text((margin.left + width - margin.right) / 2, height - 14, x.label, 'middle'),
    `<g transform="rotate(-90)">${text(-(margin.top + height - margin.bottom) / 2, 16, y.label, 'middle')}</g>`,
  ];
  const ends = lines.map((line) => up.at(line.points.at(-1)![1]));
  const places = spread(ends);
  lines.forEach((line, i) => {
    const colour = colours[(line.group ?? i) % colours.length];
    const path = line.points.map(([px, py]) => `${round(across.at(px))},${round(up.at(py))}`).join(' ');
    const dash = line.dashed ? ' stroke-dasharray="5 4"' : '';
    const endX = round(across.at(line.points.at(-1)![0]));
    parts.push(
      `<polyline fill="none" stroke="${colour}" stroke-width="1.8" stroke-linejoin="round"${dash} points="${path}"/>`,
      `<path stroke="${colour}" stroke-width="0.6" d="M${endX} ${round(ends[i])}L${width - margin.right + 8} ${round(places[i])}" opacity="0.6"/>`,
      text(width - margin.right + 12, places[i] + 4, line.name, 'start', `style="fill:${colour}"`),
    );
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    '<style>text{fill:#444}.grid{stroke:#888;stroke-width:.4;opacity:.5}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>',
    ...parts,
    '</svg>\n',
  ].join('\n');
}

/** Where values lie between two pixels, and some round ones with their names. */
function axis(values: readonly number[], log: 2 | 10 | undefined, from: number, to: number) {
  const scale = (value: number) => (log ? Math.log(value) / Math.log(log) : value);
  const [low, high] = [Math.min(...values.map(scale)), Math.max(...values.map(scale))];
  const room = log ? 0 : 0.04 * (high - low || 1);
  const [start, end] = [low - room, high + room || 1];
  const at = (value: number) => from + ((scale(value) - start) / (end - start || 1)) * (to - from);
  const ticks = log ? powers(start, end, log) : rounds(start, end);
  return {at, ticks: ticks.map(([value, label]) => [round(at(value)), label] as const)};
}

function powers(start: number, end: number, base: 2 | 10): Array<[number, string]> {
  const step = Math.max(1, Math.ceil((end - start) / 8));
  const list: Array<[number, string]> = [];
  for (let power = Math.ceil(start - 1e-9); power <= end + 1e-9; power += step) {
    list.push([base ** power, base === 2 && power > 9 ? `2^${power}` : String(Number((base ** power).toPrecision(3)))]);
  }
  return list;
}

function rounds(start: number, end: number): Array<[number, string]> {
  const rough = (end - start) / 6;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10);
  const list: Array<[number, string]> = [];
  for (let value = Math.ceil(start / step) * step; value <= end; value += step)
    list.push([value, String(Number(value.toPrecision(6)))]);
  return list;
}

/** The same heights, moved apart so that no two names overlap. */
function spread(heights: readonly number[]): number[] {
  const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
  const result = [...heights];
  order.forEach((i, rank) => {
    if (rank > 0) result[i] = Math.max(result[i], result[order[rank - 1]] + lineHeight);
  });
  const over = result[order.at(-1)!] - (height - margin.bottom);
  if (over > 0) {
    [...order].reverse().forEach((i, rank, reversed) => {
      result[i] = Math.min(result[i], rank === 0 ? height - margin.bottom : result[reversed[rank - 1]] - lineHeight);
    });
  }
  return result;
}

const round = (value: number) => Math.round(10 * value) / 10;

function text(x: number, y: number, content: string, anchor: string, more = ''): string {
  const escaped = content.replace(/[&<>]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;'})[c]!);
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" ${more}>${escaped}</text>`;
}

/** The page of benchmarks says what the results say, and its charts show what they are given. */
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {chart} from '../../bench/chart';
import {guideFiles} from '../../bench/guide';
import {exponent} from '../../bench/results';

const root = join(import.meta.dirname, '../..');

describe('guides/benchmarks.md', () => {
  it('is what `npm run bench -- guide` makes of the results, pictures and all', async () => {
    const files = await guideFiles();
    expect(Object.keys(files)).toContain('guides/benchmarks.md');
    for (const [name, content] of Object.entries(files)) {
      expect(existsSync(join(root, name)) && readFileSync(join(root, name), 'utf8') === content)
        .withContext(`${name}; npm run bench -- guide makes it`)
        .toBeTrue();
    }
  });
});

describe('a chart', () => {
  const options = {title: 'a < b', x: {label: 'x', log: 2} as const, y: {label: 'y', log: 10} as const};

  it('puts points where the logarithms of their values lie', () => {
    const svg = chart([{name: 'line', points: [[1, 1], [4, 10], [16, 100]]}], options); // prettier-ignore
    const places = /polyline[^>]* points="([^"]+)"/
      .exec(svg)![1]
      .split(' ')
      .map((pair) => pair.split(',').map(Number));
    const [[x0, y0], [x1, y1], [x2, y2]] = places;
    expect(x1).toBeCloseTo((x0 + x2) / 2, 0);
    expect(y1).toBeCloseTo((y0 + y2) / 2, 0);
    expect([x2 > x0, y2 < y0]).toEqual([true, true]);
    expect(svg).toContain('a &lt; b');
  });

  it('keeps the names of lines that end together apart', () => {
    const lines = ['one', 'two', 'three'].map((name) => ({name, points: [[1, 1], [2, 10]] as const})); // prettier-ignore
    const svg = chart(lines, options);
    const heights = lines.map(({name}) => Number(new RegExp(`y="([\\d.]+)"[^>]*>${name}<`).exec(svg)![1]));
    heights.sort((a, b) => a - b);
    expect(heights[1] - heights[0]).toBeGreaterThan(13);
    expect(heights[2] - heights[1]).toBeGreaterThan(13);
  });
});

describe('the power that times grow with', () => {
  it('is the slope over logarithms', () => {
    expect(exponent([1, 2, 4, 8], [3, 12, 48, 192])).toBeCloseTo(2, 12);
  });
});

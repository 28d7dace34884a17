/** What shows a training run: the curve, the line of progress in a terminal, and the log that TensorBoard reads. */
import {mkdtemp, readdir, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {lossCurve, type LossHistory} from '../../src/training/lossCurve';
import type {FitOptions, StepReport} from '../../src/training/options';
import {tensorBoardLog} from '../../src/training/nodeTensorBoard';
import {ProgressLine, type Terminal} from '../../src/training/progressLine';
import {trainer} from '../../src/training/trainer';

/** The points of each line of a picture, in pixels. */
function lines(svg: string): number[][][] {
  return [...svg.matchAll(/<polyline [^>]*points="([^"]*)"/g)].map(([, points]) =>
    points.split(' ').map((point) => point.split(',').map(Number)),
  );
}

describe('lossCurve', () => {
  it('draws every point at its place, from the corners of the axes', () => {
    const [line] = lines(lossCurve([{step: 10, loss: 4}, {step: 20, loss: 3}, {step: 40, loss: 2}], {width: 368, height: 174})); // prettier-ignore
    // 300 by 100 pixels lie within the margins.
    expect(line).toEqual([[52, 34], [152, 84], [352, 134]]); // prettier-ignore
  });

  it('takes losses, curves by name and the history of model.fit', () => {
    const points = [{step: 1, loss: 3}, {step: 2, loss: 1}]; // prettier-ignore
    expect(lossCurve([3, 1])).toBe(lossCurve(points));
    expect(lines(lossCurve({training: points, 'held out': [2]})).length).toBe(2);
    const fitted = Object.assign(new tf.History(), {epoch: [0, 1], history: {loss: [3, 1], val_loss: [3, 2], acc: [0, 1]}}); // prettier-ignore
    const svg = lossCurve(fitted);
    expect(lines(svg).length).toBe(2);
    expect(svg).toContain('>val_loss</text>');
    expect(svg).not.toContain('acc');
  });

  it('is an SVG of finite numbers with its texts escaped, whatever the losses', () => {
    for (const losses of [[5], [2, 2], [-1, -1], [0, 0], [1e-9, 2e-9], [1e30, 2e30], [0, 1e-300]]) {
      const svg = lossCurve({'<a> & "b"': losses}, {title: '<script>'});
      expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" [^>]*>[^]*<\/svg>$/);
      expect(svg).toContain('&#60;a&#62; &#38; &#34;b&#34;');
      expect(svg).not.toMatch(/NaN|Infinity|<script|undefined/);
      expect(svg.match(/<line /g)!.length)
        .withContext(String(losses))
        .toBeLessThan(9);
    }
  });

  it('names what is wrong', () => {
    const wrong: Array<[unknown, object, RegExp]> = [
      [5, {}, /^lossCurve: history must be points .* but is number 5$/],
      [[], {}, /^lossCurve: history must have a loss, but has none$/],
      [{training: 5}, {}, /^lossCurve: training must be a list of losses, but is number 5$/],
      [[1, NaN], {}, /^lossCurve: loss\[1\] must be a finite loss, or \{step, loss\}, but is null$/],
      [[{loss: 1}], {}, /^lossCurve: loss\[0\] must be a finite loss, or \{step, loss\}, but is \{"loss":1\}$/],
      [[1], {width: 0}, /^lossCurve: width must be 160 pixels or more, but is 0$/],
      [[1], {heigth: 200}, /^lossCurve: unknown argument heigth; .*; did you mean height\?$/],
    ];
    for (const [history, options, message] of wrong) {
      expect(() => lossCurve(history as LossHistory, options)).toThrowError(message);
    }
  });
});

describe('the line of progress', () => {
  const report = (step: number): StepReport => ({step, loss: 1.23456, gradientNorm: 1, learningRate: 1, tokensPerSecond: 1234.5}); // prettier-ignore

  it('is written over itself in a terminal, no wider than that, and ends with the fit', () => {
    let written = '';
    const out: Terminal = {isTTY: true, columns: 40, write: (text) => (written += text)};
    const line = new ProgressLine(3, out);
    for (const step of [1, 2, 3]) line.report(report(step));
    line.end();
    line.end();
    const parts = written.split('\r\x1b[K');
    expect(parts.length).toBe(4);
    expect(parts[1]).toMatch(/^step 1 of 3 \| loss 1\.235 \| 1,235 label/);
    expect(parts.every((part) => part.trimEnd().length < 40)).toBeTrue();
    expect(written.endsWith('\n')).toBeTrue();
    expect(written.match(/\n/g)!.length).toBe(1);
  });

  it('is whole in a terminal that does not know how wide it is', () => {
    const written: string[] = [];
    new ProgressLine(3, {isTTY: true, columns: 0, write: (text) => written.push(text)}).report(report(3));
    expect(written).toEqual(['\r\x1b[Kstep 3 of 3 | loss 1.235 | 1,235 labels/s | 0 s left']);
  });

  it('tells the time left from all steps since the beginning, however many come before the first report', () => {
    spyOn(performance, 'now').and.returnValues(0, 10_000);
    expect(new ProgressLine(10, undefined, 0).text(report(5))).toMatch(/ 10 s left$/);
  });

  it('is there by default in a terminal only, and as verbose says', async () => {
    const model = tf.sequential({layers: [tf.layers.dense({units: 1, inputShape: [1]})]});
    const dataset = {
      iterator: async () => ({
        next: async () => ({done: false as const, value: {xs: tf.ones([2, 1]), ys: tf.ones([2, 1])}}),
      }),
    };
    const loss = (labels: unknown, y: unknown) => tf.losses.meanSquaredError(labels as tf.Tensor, y as tf.Tensor);
    const fit = (options: Partial<FitOptions>) =>
      trainer(model, {optimizer: tf.train.sgd(0.1), loss: loss as never}).fit(dataset, {steps: 2, ...options});
    const log = spyOn(console, 'log');
    const write = spyOn(process.stdout, 'write').and.returnValue(true);
    const wasTTY = process.stdout.isTTY;
    const printed = async (isTTY: boolean, options: Partial<FitOptions>) => {
      [log, write].forEach((spy) => spy.calls.reset());
      process.stdout.isTTY = isTTY;
      await fit(options);
      return [log.calls.count(), write.calls.count()];
    };
    try {
      expect(await printed(true, {})).toEqual([0, 3]);
      expect(await printed(true, {verbose: 0})).toEqual([0, 0]);
      expect(await printed(false, {})).toEqual([0, 0]);
      expect(await printed(false, {verbose: 1})).toEqual([2, 0]);
    } finally {
      process.stdout.isTTY = wasTTY;
    }
    await expectAsync(fit({verbose: 2 as never})).toBeRejectedWithError(
      'trainer: verbose must be 0 or 1, but is number 2',
    );
    model.dispose();
  });

  it('is a line for each report elsewhere, and nothing where nothing came', () => {
    const log = spyOn(console, 'log');
    const line = new ProgressLine(3, undefined);
    line.end();
    expect(log).not.toHaveBeenCalled();
    line.report(report(3));
    expect(log.calls.argsFor(0)[0]).toBe('step 3 of 3 | loss 1.235 | 1,235 labels/s | 0 s left');
  });
});

describe('a log for TensorBoard', () => {
  // Written by the RecordWriter and the protocol buffers of TensorBoard 2.21: the version, the start of a session, and a scalar.
  const recorded = [
    '1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110',
    '100000000000000095fbfe180900002040fc54d94110ac023a020801b94512a3',
    '1b000000000000001a0d9e130900002040fc54d94110ac022a0d0a0b0a046c6f7373150000803ec5f6859b',
  ];

  it('has the bytes that TensorBoard itself writes, and names the place that it cannot write to', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-board-'));
    spyOn(Date, 'now').and.returnValue(1700000000500);
    const log = await tensorBoardLog(join(folder, 'run'));
    await log.scalar('loss', 0.25, 300);
    await log.close();
    const [file, ...others] = await readdir(join(folder, 'run'));
    expect(others).toEqual([]);
    expect(file).toMatch(/^events\.out\.tfevents\.1700000000\./);
    expect((await readFile(join(folder, 'run', file))).toString('hex')).toBe(recorded.join(''));
    await expectAsync(tensorBoardLog(join(folder, 'run', file))).toBeRejectedWithError(/^tensorBoardLog: .*tfevents.* cannot be written to: /); // prettier-ignore
    await rm(folder, {recursive: true});
  });
});

/** The built package as its users meet it: every entry point and module format, bundlers, script tags, the README. */
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {join, posix} from 'node:path';
import {createContext, runInContext} from 'node:vm';
import * as tf from '@tensorflow/tfjs';
import {build} from 'esbuild';
import {root, runAsUser as run} from '../support/asUser';

/** Bundles a module as for a browser; it fails on any import of a Node module. */
async function bundle(code: string): Promise<string> {
  const result = await build({
    stdin: {contents: code, resolveDir: root},
    bundle: true,
    platform: 'browser',
    format: 'esm',
    external: ['@tensorflow/*'],
    write: false,
    logLevel: 'silent',
  });
  return result.outputFiles[0].text;
}

describe('package', () => {
  it('exports the same names from an ES module and from CommonJS', () => {
    for (const entry of ['', '/node', '/webgpu', '/layers', '/lm', '/training'].map((path) => `tfjs-mamba${path}`)) {
      const names = run(`
        import {createRequire} from 'node:module';
        const require = createRequire(process.cwd() + '/');
        const names = (exports) => Object.keys(exports).filter((name) => !/^(default|module\\.exports)$/.test(name)).sort();
        console.log(JSON.stringify([names(await import('${entry}')), names(require('${entry}'))]));
      `) as [string[], string[]];
      expect(names[0].length).withContext(entry).toBeGreaterThan(0);
      expect(names[1]).withContext(entry).toEqual(names[0]);
    }
  });

  it('has one copy of everything, whichever entry points a program imports', () => {
    const different = run(`
      import * as root from 'tfjs-mamba';
      import * as node from 'tfjs-mamba/node';
      console.log(JSON.stringify(Object.keys(root).filter((name) => root[name] !== node[name])));
    `);
    expect(different).toEqual([]);
  });

  it('needs no Node in the root and in webgpu', async () => {
    for (const entry of [
      'tfjs-mamba',
      'tfjs-mamba/webgpu',
      'tfjs-mamba/layers',
      'tfjs-mamba/lm',
      'tfjs-mamba/training',
      'tfjs-mamba/adapters',
    ]) {
      await expectAsync(bundle(`export * from '${entry}';`))
        .withContext(entry)
        .toBeResolved();
    }
    await expectAsync(bundle(`export * from 'tfjs-mamba/node';`)).toBeRejected();
  });

  it('imports no backend package in the root, types included', () => {
    for (const file of ['index.js', 'index.cjs', 'index.d.ts', 'index.d.cts', 'tfjs-mamba.umd.js']) {
      const text = readFileSync(`${root}/dist/${file}`, 'utf8');
      expect(text)
        .withContext(file)
        .not.toMatch(/(from|import|require)\s*\(?\s*['"]@tensorflow\/tfjs-/);
    }
  });

  it('registers its kernels and gradients when a bundler keeps a single layer', async () => {
    const code = await bundle(`
      import * as tf from '@tensorflow/tfjs';
      import {layers} from 'tfjs-mamba';
      const {mamba} = layers;
      const found = ['SelectiveScan', 'CausalConv1d', 'RmsNorm'].map((name) => [
        name, tf.getKernel(name, 'cpu') !== undefined, tf.getKernel(name, 'wasm') !== undefined,
        tf.getGradient(name) !== undefined]);
      console.log(JSON.stringify([typeof mamba, ...found]));
    `);
    expect(run(code)).toEqual([
      'function',
      ['SelectiveScan', true, true, true],
      ['CausalConv1d', true, true, true],
      ['RmsNorm', true, true, true],
    ]);
  });

  it('brings the kernels of one backend, with the gradients, beside a layer from its own entry point', async () => {
    const code = await bundle(`
      import * as tf from '@tensorflow/tfjs';
      import {mamba} from 'tfjs-mamba/layers';
      import 'tfjs-mamba/backends/webgl/mamba';
      const found = ['SelectiveScan', 'CausalConv1d', 'RmsNorm', 'CrossEntropy', 'Ssd'].map((name) => [
        name, tf.getKernel(name, 'webgl') !== undefined, tf.getKernel(name, 'cpu') !== undefined,
        tf.getGradient(name) !== undefined]);
      console.log(JSON.stringify([mamba({}).getClassName(), ...found]));
    `);
    expect(run(code)).toEqual([
      'Mamba',
      ['SelectiveScan', true, false, true],
      ['CausalConv1d', true, false, true],
      ['RmsNorm', true, false, true],
      ['CrossEntropy', false, false, false],
      ['Ssd', false, false, false],
    ]);
  });

  it('brings the kernels of every backend by itself in Node, from either module format', () => {
    for (const load of [`await import('tfjs-mamba/backends/all')`, `require('tfjs-mamba/backends/all')`]) {
      const kernels = run(`
        import {createRequire} from 'node:module';
        import * as tf from '@tensorflow/tfjs';
        const require = createRequire(process.cwd() + '/');
        ${load};
        const backends = ['cpu', 'wasm', 'webgl', 'webgpu'];
        console.log(JSON.stringify(backends.map((backend) => tf.getKernel('SelectiveScan', backend) !== undefined)));
      `);
      expect(kernels).toEqual([true, true, true, true]);
    }
  });

  it('knows its classes for loadLayersModel when a bundler keeps no more than the import of the root', async () => {
    const code = await bundle(`
      import * as tf from '@tensorflow/tfjs';
      import 'tfjs-mamba';
      console.log(JSON.stringify(Object.keys(tf.serialization.SerializationMap.getMap().classNameMap)));
    `);
    const sources = readdirSync(`${root}/src`, {recursive: true, encoding: 'utf8'}).filter((file) =>
      file.endsWith('.ts'),
    );
    const names = sources.flatMap((file) =>
      [
        ...readFileSync(`${root}/src/${file}`, 'utf8').matchAll(/static (?:override |readonly )?className = '(\w+)'/g),
      ].map(([, name]) => name),
    );
    expect(names).toContain('Mamba');
    expect(run(code)).toEqual(jasmine.arrayContaining(names));
  });

  it('takes its own objects from another copy, the CommonJS one, and tells a subclass from its base', () => {
    const result = run(`
      import {createRequire} from 'node:module';
      import * as es from 'tfjs-mamba';
      const cjs = createRequire(process.cwd() + '/')('tfjs-mamba');
      const model = cjs.mambaLM({vocabSize: 8, dModel: 4, nLayer: 1});
      const files = [];
      await es.savePretrained(model, {write: (name) => void files.push(name)});
      class Own extends es.AdamW {}
      const optimizer = cjs.adamW({learningRate: 0.1});
      const tf = createRequire(process.cwd() + '/')('@tensorflow/tfjs');
      const dropping = tf.sequential({layers: [cjs.layers.mamba({name: 'm', dropout: 0.5, dState: 2, inputShape: [2, 4]})]});
      let saved;
      const target = {save: async (files) => void (saved = files), load: async () => undefined};
      const value = {xs: tf.ones([1, 2, 4]), ys: tf.ones([1, 2, 4])};
      const dataset = {iterator: async () => ({next: async () => ({done: false, value: {...value}}), state: () => null})};
      const loss = (labels, outputs) => tf.losses.meanSquaredError(labels, outputs);
      const fit = es.trainer(dropping, {optimizer: tf.train.sgd(0.1), loss});
      await fit.fit(dataset, {steps: 1, verbose: 0, checkpoint: {target}});
      console.log(JSON.stringify({
        different: es.MambaLM !== cjs.MambaLM,
        files: files.length > 0,
        model: model instanceof es.MambaLM,
        optimizer: optimizer instanceof es.AdamW,
        base: new Own({learningRate: 0.1}) instanceof cjs.AdamW,
        subclass: [optimizer instanceof Own, new Own({learningRate: 0.1}) instanceof Own],
        draws: Object.keys(JSON.parse(new TextDecoder().decode(saved['training.json'])).draws ?? {}),
        others: [{}, null, 1, es.layers.mamba({})].some((value) => value instanceof es.MambaLM),
      }));
    `);
    expect(result).toEqual({
      different: true,
      files: true,
      model: true,
      optimizer: true,
      base: true,
      subclass: [false, true],
      draws: ['m'],
      others: false,
    });
  });

  it('is the global tfjsMamba for a script tag, on the global tf', () => {
    const page = createContext({tf, console, setTimeout, performance, TextDecoder, TextEncoder, URL, Blob});
    runInContext('var self = globalThis;', page);
    runInContext(readFileSync(`${root}/dist/tfjs-mamba.umd.js`, 'utf8'), page);
    const names = runInContext('Object.keys(tfjsMamba).sort()', page) as string[];
    expect([...names]).toEqual(
      run(`import * as root from 'tfjs-mamba'; console.log(JSON.stringify(Object.keys(root).sort()));`) as string[],
    );
  });

  it('says what is missing where the script tags are in the wrong order', () => {
    const page = createContext({console, setTimeout, performance, TextDecoder, TextEncoder, URL, Blob});
    runInContext('var self = globalThis;', page);
    const load = () => runInContext(readFileSync(`${root}/dist/tfjs-mamba.umd.js`, 'utf8'), page) as unknown;
    expect(load).toThrowMatching(({message}: Error) => {
      return message === 'tfjs-mamba: there is no TensorFlow.js; load @tensorflow/tfjs before tfjs-mamba';
    });
  });

  it('does what the first example of the README says', () => {
    const example = /```js\n([^`]*tf\.sequential[^`]*)```/.exec(readFileSync(`${root}/README.md`, 'utf8'))![1];
    expect(run(`${example}\nconsole.log(JSON.stringify(model.predict(x).shape));`)).toEqual([64, 2]);
  });
});

describe('the packed package', () => {
  let names: string[];

  beforeAll(() => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      shell: process.platform === 'win32',
    });
    const [{files}] = JSON.parse(packed) as [{files: {path: string}[]}];
    names = files.map((file) => file.path);
  });

  it('has what every relative link of its README, guides and cards leads to', () => {
    const texts = names.filter((name) => name.endsWith('.md'));
    const lost: string[] = [];
    let links = 0;
    for (const name of texts) {
      for (const [, target] of readFileSync(join(root, name), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)#\s]+)[^)]*\)/g)) {
        links++;
        const path = posix.join(posix.dirname(name), target);
        if (!names.some((packed) => packed === path || packed.startsWith(`${path.replace(/\/$/, '')}/`)))
          lost.push(`${name}: ${target}`);
      }
    }
    expect(lost).toEqual([]);
    expect(texts).toContain('guides/backends.md');
    expect(links).toBeGreaterThan(30);
  });

  it('holds what is built, what builds the native half, and what is to be read, and nothing else', () => {
    expect(
      names.filter(
        (name) =>
          !/^((dist|bin|scripts\/native|custom-ops\/(src|loader|cmake))\/.*|scripts\/launch\.js|models\/[a-z-]+\/(README\.md|curves\.svg|config\.json|model\.(safetensors|json)|weights\.bin|scales\.json|tokenizer\.json)|examples\/([a-z-]+\.js|README\.md|(vite|script-tags)\/(index\.html|main\.js))|guides\/([a-z-]+\.md|images\/[a-z-]+\.(svg|webp))|models\/README\.md|CONTRIBUTING\.md|custom-ops\/(CMakeLists\.txt|README\.md)|package\.json|README\.md|LICENSE)$/.test(
            name,
          ),
      ),
    ).toEqual([]);
    for (const entry of [
      'index',
      'node',
      'webgpu',
      'entry/layers',
      'entry/lm',
      'entry/training',
      'entry/adapters',
      'kernels/all',
      'kernels/webgl',
    ]) {
      for (const extension of ['js', 'cjs', 'd.ts', 'd.cts']) expect(names).toContain(`dist/${entry}.${extension}`);
    }
  });
});

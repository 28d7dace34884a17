/** The built package as its users meet it: every entry point and module format, bundlers, script tags, the README. */
import {execFileSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
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
    for (const entry of ['tfjs-mamba', 'tfjs-mamba/node', 'tfjs-mamba/webgpu']) {
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
    for (const entry of ['tfjs-mamba', 'tfjs-mamba/webgpu']) {
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

  it('packs what is built and what builds the native half, and nothing else', () => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      shell: process.platform === 'win32',
    });
    const [{files}] = JSON.parse(packed) as [{files: {path: string}[]}];
    const names = files.map((file) => file.path);
    expect(
      names.filter(
        (name) =>
          !/^((dist|bin|scripts\/native|custom-ops\/(src|loader|cmake))\/.*|custom-ops\/(CMakeLists\.txt|README\.md)|package\.json|README\.md|LICENSE)$/.test(
            name,
          ),
      ),
    ).toEqual([]);
    for (const entry of ['index', 'node', 'webgpu']) {
      for (const extension of ['js', 'cjs', 'd.ts', 'd.cts']) expect(names).toContain(`dist/${entry}.${extension}`);
    }
  });
});

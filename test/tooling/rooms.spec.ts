/** The import check refuses what the architecture forbids. It is shown on a small house of its own, built in a temporary folder. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {ESLint} from 'eslint';
import {importCheck} from '../../eslint.rooms.js';

/** One file in every room; none imports anything. */
const house = [
  'backends/wasm.ts',
  'ops/kernel.ts',
  'ops/index.ts',
  'ops/rmsNorm/index.ts',
  'ops/selectiveScan/index.ts',
  'ops/selectiveScan/webgpu/index.ts',
  'ops/selectiveStateUpdate/index.ts',
  'mixers/mixer.ts',
  'config/config.ts',
  'layers/mamba.ts',
  'training/trainer.ts',
  'checkpoints/safetensors.ts',
  'cluster/cluster.ts',
  'lm/model.ts',
  'index.ts',
  'node.ts',
];

describe('import check', () => {
  let root: string;
  let eslint: ESLint;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-rooms-'));
    for (const file of house) {
      const path = join(root, 'src', file);
      mkdirSync(dirname(path), {recursive: true});
      writeFileSync(path, 'export const value = 1;\nexport type Value = number;\n');
    }
    eslint = new ESLint({cwd: root, overrideConfigFile: true, overrideConfig: importCheck(root)});
  });

  afterAll(() => {
    rmSync(root, {recursive: true});
  });

  /** The rules that refuse `code` in a file of the house. */
  async function refused(file: string, code: string): Promise<(string | null)[]> {
    const [result] = await eslint.lintText(code, {filePath: join(root, 'src', file)});
    return result.messages.map((message) => message.ruleId);
  }

  const allowed: [string, string][] = [
    ['ops/rmsNorm/index.ts', '../kernel'],
    ['ops/rmsNorm/index.ts', '../../backends/wasm'],
    ['ops/selectiveStateUpdate/index.ts', '../selectiveScan'],
    ['ops/selectiveScan/webgpu/index.ts', '../../kernel'],
    ['ops/selectiveScan/webgpu/index.ts', '../../../backends/wasm'],
    ['ops/kernel.ts', '../backends/wasm'],
    ['layers/mamba.ts', '../ops/rmsNorm'],
    ['training/trainer.ts', '../layers/mamba'],
    ['mixers/mixer.ts', '../ops/rmsNorm'],
    ['config/config.ts', '../mixers/mixer'],
    ['layers/mamba.ts', '../mixers/mixer'],
    ['checkpoints/safetensors.ts', '../config/config'],
    ['lm/model.ts', '../layers/mamba'],
    ['lm/model.ts', '../config/config'],
    ['index.ts', './lm/model'],
    ['node.ts', './index'],
  ];
  for (const [file, imported] of allowed) {
    it(`lets src/${file} import ${imported}`, async () => {
      expect(await refused(file, `import {value} from '${imported}';\nexport const x = value;\n`)).toEqual([]);
    });
  }

  const forbidden: [string, string][] = [
    ['backends/wasm.ts', '../ops/kernel'],
    ['ops/kernel.ts', './rmsNorm'],
    ['ops/rmsNorm/index.ts', '../selectiveScan'],
    ['ops/selectiveScan/webgpu/index.ts', '../../rmsNorm'],
    ['ops/rmsNorm/index.ts', '../index'],
    ['ops/selectiveScan/index.ts', '../selectiveStateUpdate'],
    ['ops/rmsNorm/index.ts', '../../layers/mamba'],
    ['layers/mamba.ts', '../lm/model'],
    ['layers/mamba.ts', '../backends/wasm'],
    ['layers/mamba.ts', '../training/trainer'],
    ['layers/mamba.ts', '../index'],
    ['training/trainer.ts', '../lm/model'],
    ['checkpoints/safetensors.ts', '../lm/model'],
    ['checkpoints/safetensors.ts', '../ops/kernel'],
    ['mixers/mixer.ts', '../layers/mamba'],
    ['mixers/mixer.ts', '../config/config'],
    ['config/config.ts', '../lm/model'],
    ['ops/rmsNorm/index.ts', '../../mixers/mixer'],
    ['lm/model.ts', '../training/trainer'],
    ['lm/model.ts', '../index'],
  ];
  for (const [file, imported] of forbidden) {
    it(`refuses ${imported} in src/${file}`, async () => {
      const rules = await refused(file, `import {value} from '${imported}';\nexport const x = value;\n`);
      expect(rules).toContain('import-x/no-restricted-paths');
    });
  }

  it('refuses an upward import of types, a re-export, and an import for its side effects', async () => {
    for (const code of [
      `import type {Value} from '../../layers/mamba';\nexport type X = Value;\n`,
      `export * from '../../layers/mamba';\n`,
      `import '../../layers/mamba';\n`,
    ]) {
      expect(await refused('ops/rmsNorm/index.ts', code))
        .withContext(code)
        .toEqual(['import-x/no-restricted-paths']);
    }
  });

  it('refuses a cycle inside a room', async () => {
    writeFileSync(join(root, 'src/lm/first.ts'), `import {second} from './second';\nexport const first = second;\n`);
    const second = `import {first} from './first';\nexport const second = first;\n`;
    writeFileSync(join(root, 'src/lm/second.ts'), second);
    expect(await refused('lm/second.ts', second)).toEqual(['import-x/no-cycle']);
  });

  it('refuses what is not there', async () => {
    expect(await refused('layers/mamba.ts', `export * from './absent';\n`)).toEqual(['import-x/no-unresolved']);
  });

  it('keeps backend packages to src/backends, which takes their types only', async () => {
    const rule = ['@typescript-eslint/no-restricted-imports'];
    const type = `export type {WebGPUBackend} from '@tensorflow/tfjs-backend-webgpu';\n`;
    const value = `export {WebGPUBackend} from '@tensorflow/tfjs-backend-webgpu';\n`;
    expect(await refused('ops/rmsNorm/index.ts', type)).toEqual(rule);
    expect(await refused('backends/wasm.ts', type)).toEqual([]);
    expect(await refused('backends/wasm.ts', value)).toEqual(rule);
    expect(await refused('layers/mamba.ts', `export * from '@tensorflow/tfjs-core/dist/engine';\n`)).toEqual(rule);
    expect(await refused('layers/mamba.ts', `export * from '@tensorflow/tfjs/dist/index';\n`)).toEqual(rule);
    expect(await refused('layers/mamba.ts', `export * from '@tensorflow/tfjs';\n`)).toEqual([]);
    expect(await refused('layers/mamba.ts', `export const m = import('@tensorflow/tfjs-node');\n`)).toEqual([
      'no-restricted-syntax',
    ]);
  });

  it('keeps Node out of the rooms that run in browsers', async () => {
    const code = `export {readFileSync} from 'node:fs';\n`;
    expect(await refused('layers/mamba.ts', code)).toEqual(['@typescript-eslint/no-restricted-imports']);
    expect(await refused('index.ts', code)).toEqual(['@typescript-eslint/no-restricted-imports']);
    expect(await refused('checkpoints/safetensors.ts', code)).toEqual(['@typescript-eslint/no-restricted-imports']);
    expect(await refused('checkpoints/nodeFiles.ts', code)).toEqual([]);
    expect(await refused('node.ts', code)).toEqual([]);
  });
});

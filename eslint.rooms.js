/**
 * The rooms of the house and who may import whom, as an ESLint configuration (`npm run lint`). CONTRIBUTING.md says what
 * each room is for; test/tooling/rooms.spec.ts shows that an import which goes up or sideways is refused.
 */
import {readdirSync} from 'node:fs';
import {join} from 'node:path';
import {defineConfig} from 'eslint/config';
import {createNodeResolver, importX} from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * Ops that stand on another op: a step is a sequence of length one, and the gradient of an embedding is a
 * segment sum.
 *
 * @type {Record<string, string[]>}
 */
const opsOnOps = {
  selectiveStateUpdate: ['selectiveScan'],
  causalConv1dUpdate: ['causalConv1d'],
  mambaStep: ['causalConv1dUpdate', 'linear', 'rmsNorm', 'selectiveStateUpdate'],
  embedding: ['unsortedSegmentSum'],
  ssdStep: ['ssd'],
  packedLinear: ['linear', 'unpackRows'],
  halves: ['linear'],
  decoder: ['topLogits'],
};

const backendPackage = {
  regex: '^@tensorflow/tfjs.',
  message: 'Import from @tensorflow/tfjs; only src/backends knows the backends, by their types.',
};
const nodeModule = {
  regex: '^node:',
  message:
    'This file runs in browsers. What needs Node is called node*.ts or lies in src/data or src/cli, and only src/node.ts imports it.',
};

/**
 * Each room with what it may import beside itself; paths are relative to src/. None may import a room that may import it.
 *
 * @param {string} root The repository.
 * @returns {{room: string, mayImport: string[]}[]}
 */
export function rooms(root) {
  const entries = readdirSync(join(root, 'src/ops'), {withFileTypes: true});
  const ops = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  // kernel.ts, check.ts: what all ops share. An index.ts would gather the ops, so it is nothing for an op to stand on.
  const shared = entries
    .filter((entry) => entry.isFile() && entry.name !== 'index.ts')
    .map((entry) => `ops/${entry.name}`);
  return [
    {room: 'backends', mayImport: []},
    ...shared.map((room) => ({room, mayImport: ['backends', ...shared.filter((other) => other !== room)]})),
    ...ops.map((op) => ({
      room: `ops/${op}`,
      mayImport: ['backends', ...shared, ...(opsOnOps[op] ?? []).map((other) => `ops/${other}`)],
    })),
    {room: 'kernels', mayImport: ['mixers', 'ops']},
    {room: 'registerClass.ts', mayImport: []},
    {room: 'random.ts', mayImport: []},
    {room: 'normal.ts', mayImport: []},
    {room: 'draw.ts', mayImport: ['normal.ts', 'random.ts']},
    {room: 'simdDraw.ts', mayImport: ['draw.ts', 'normal.ts', 'backends']},
    {room: 'nativeDraw.ts', mayImport: ['draw.ts', 'normal.ts', 'backends']},
    {room: 'macrotask.ts', mayImport: []},
    {room: 'nodeStaging.ts', mayImport: []},
    {room: 'indexedDb.ts', mayImport: []},
    {room: 'fileErrors.ts', mayImport: []},
    {room: 'mixers', mayImport: ['backends/engine.ts', 'backends/traits.ts', 'ops', 'draw.ts']},
    {room: 'config', mayImport: ['mixers']},
    {room: 'layers', mayImport: ['mixers', 'ops', 'registerClass.ts']},
    {
      room: 'training',
      mayImport: [
        'backends/engine.ts',
        'backends/tape.ts',
        'backends/webgpuOrder.ts',
        'cluster/cluster.ts',
        'layers',
        'mixers',
        'ops',
        'random.ts',
        'fileErrors.ts',
        'indexedDb.ts',
        'macrotask.ts',
        'nodeStaging.ts',
        'registerClass.ts',
      ],
    },
    {room: 'cluster/cluster.ts', mayImport: []},
    {room: 'cluster', mayImport: ['backends', 'ops']},
    {room: 'checkpoints', mayImport: ['config', 'fileErrors.ts', 'mixers', 'nodeStaging.ts']},
    {room: 'adapters', mayImport: ['checkpoints', 'config', 'layers', 'lm', 'mixers', 'ops']},
    {room: 'data', mayImport: ['lm', 'training', 'ops', 'random.ts', 'macrotask.ts']},
    {
      room: 'lm',
      mayImport: [
        'backends/traits.ts',
        'backends/webgpuOrder.ts',
        'layers',
        'mixers',
        'config',
        'ops',
        'checkpoints',
        'fileErrors.ts',
        'indexedDb.ts',
        'random.ts',
        'simdDraw.ts',
        'macrotask.ts',
        'registerClass.ts',
      ],
    },
    {room: 'worker', mayImport: ['autoBackend.ts', 'checkpoints', 'config', 'lm', 'ops', 'recovery.ts', 'training']},
  ];
}

/**
 * The import check: between the rooms of src/, and from them to the packages outside.
 *
 * @param {string} root The repository.
 */
export function importCheck(root) {
  const zones = rooms(root).map(({room, mayImport}) => ({
    target: join(root, 'src', room),
    from: join(root, 'src'),
    except: [room, ...mayImport].map((path) => `./${path}`),
    message:
      mayImport.length === 0
        ? `src/${room} imports nothing else of src.`
        : `src/${room} may import ${mayImport.map((path) => `src/${path}`).join(', ')} only.`,
  }));
  return defineConfig(
    {
      files: ['src/**/*.ts'],
      plugins: {'import-x': importX, '@typescript-eslint': tseslint.plugin},
      languageOptions: {parser: tseslint.parser},
      settings: {
        ...importX.flatConfigs.typescript.settings,
        'import-x/resolver-next': [createNodeResolver({extensions: ['.ts', '.js', '.json']})],
      },
      rules: {
        // An import that leads nowhere would pass all other rules.
        'import-x/no-unresolved': ['error', {ignore: ['^@tensorflow/']}],
        'import-x/no-restricted-paths': ['error', {zones}],
        'import-x/no-cycle': 'error',
        '@typescript-eslint/no-restricted-imports': ['error', {patterns: [backendPackage, nodeModule]}],
        'no-restricted-syntax': [
          'error',
          {
            selector: 'ImportExpression',
            message: 'Rooms import statically; only the entry points load optional packages.',
          },
        ],
      },
    },
    {
      files: ['src/backends/**'],
      rules: {
        '@typescript-eslint/no-restricted-imports': [
          'error',
          {patterns: [{...backendPackage, allowTypeImports: true}, nodeModule]},
        ],
      },
    },
    {
      // Rooms of Node alone.
      files: ['src/**/node*.ts', 'src/data/**'],
      rules: {'@typescript-eslint/no-restricted-imports': ['error', {patterns: [backendPackage]}]},
    },
    {
      files: ['src/node.ts', 'src/webgpu.ts', 'src/cli/**'],
      rules: {'@typescript-eslint/no-restricted-imports': 'off', 'no-restricted-syntax': 'off'},
    },
  );
}

/**
 * Which spec files a test process runs. Most specs run once per backend. Those that touch no kernel (file formats,
 * configurations, the repository's own checks) would only say the same again on each, so they run a single time.
 */
import {readdirSync} from 'node:fs';
import {join, relative, resolve, sep} from 'node:path';

const testFolder = resolve(import.meta.dirname, '..');

/** Folders (with a slash at the end) and files under test/ that no backend can make a difference to. */
const onceOnly = [
  'adapters/files.spec.ts',
  'adapters/saving.spec.ts',
  'checkpoints/',
  'cli/',
  'cluster/config.spec.ts',
  'cluster/launch.spec.ts',
  'data/',
  'tooling/',
  'fixtures.spec.ts',
  'random.spec.ts',
  'layers/training.spec.ts',
  'lm/config.spec.ts',
  'lm/sampling.spec.ts',
  'lm/selection.spec.ts',
  'lm/stateFiles.spec.ts',
  'lm/pythonTokenizers.spec.ts',
  'lm/textPrompts.spec.ts',
  'lm/tokenizers.spec.ts',
  'messages.spec.ts',
  'models/',
  'ops/reference.spec.ts',
  'training/checkpointFiles.spec.ts',
  'training/gradientOrder.spec.ts',
  'training/keeping.spec.ts',
  'training/killing.spec.ts',
  'training/nodeCheckpoints.spec.ts',
  'training/packing.spec.ts',
  'training/segments.spec.ts',
  'training/seeing.spec.ts',
  'webgpu.spec.ts',
  'worker/',
];

/** Files that run with the specs of one backend: those about it, and those of which one backend says enough. */
const onlyOn: Record<string, string> = {
  'adapters/training.spec.ts': 'wasm', // made of ops that every backend is tested with
  'lm/packedFiles.spec.ts': 'wasm', // likewise
  'backends/tensorflow.spec.ts': 'tensorflow',
  'backends/webgl.spec.ts': 'webgl',
  'backends/webgpu.spec.ts': 'webgpu',
  'backends/webgpuModels.spec.ts': 'webgpu',
  'cluster/cluster.spec.ts': 'tensorflow',
  'cluster/divided.spec.ts': 'tensorflow',
  'cluster/failing.spec.ts': 'tensorflow',
  'cluster/together.spec.ts': 'tensorflow',
  'cluster/training.spec.ts': 'tensorflow',
  'lm/decoder.spec.ts': 'tensorflow',
  'native/native.spec.ts': 'tensorflow',
  'ops/halves.spec.ts': 'tensorflow',
  'training/onTheWay.spec.ts': 'tensorflow',
  'ops/mamba2Step.spec.ts': 'tensorflow',
};

export type SpecGroup = 'once' | 'backend';

/**
 * The spec files of a group, as sorted paths relative to test/.
 *
 * @param backend Whose specs, in the group 'backend'.
 * @param paths If any are given, only files whose path from the repository's root contains one of them.
 */
export function specFiles(group: SpecGroup, backend: string, paths: readonly string[] = []): string[] {
  return readdirSync(testFolder, {recursive: true, encoding: 'utf8'})
    .map((file) => relative(testFolder, join(testFolder, file)).split(sep).join('/'))
    .filter((file) => file.endsWith('.spec.ts'))
    .filter((file) => isOnce(file) === (group === 'once'))
    .filter((file) => group === 'once' || (onlyOn[file] ?? backend) === backend)
    .filter((file) => paths.length === 0 || paths.some((path) => `test/${file}`.includes(path)))
    .sort();
}

function isOnce(file: string): boolean {
  return onceOnly.some((entry) => file === entry || (entry.endsWith('/') && file.startsWith(entry)));
}

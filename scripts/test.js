/**
 * `npm test`. Plain JavaScript without dependencies, because it has to run on a clone in which nothing is installed: it
 * installs what is missing, sets the native backend up and then hands over to runTests.ts.
 */
import {spawnSync} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

if (!installed()) {
  console.log('Installing the dependencies of package-lock.json.');
  // Without scripts, because the only one of ours is the build, and runTests.ts builds what it tests.
  run('npm', [existsSync(`${root}/node_modules`) ? 'install' : 'ci', '--ignore-scripts', '--no-audit', '--no-fund']);
}
const backends = process.argv[process.argv.indexOf('--backend') + 1];
if (!process.argv.includes('--backend') || backends.includes('tensorflow')) {
  // What was set up with the CUDA kernels stays so.
  const present = `${root}/native/native.json`;
  const cuda = existsSync(present) && JSON.parse(readFileSync(present, 'utf8')).cuda ? ['--cuda'] : [];
  // Not the end if it fails: the other backends are tested all the same, and this one fails saying what is missing.
  spawnSync(process.execPath, ['bin/tfjs-mamba.js', 'setup-native', ...cuda], {cwd: root, stdio: 'inherit'});
}
run(process.execPath, ['--import', 'tsx', 'scripts/runTests.ts', ...process.argv.slice(2)]);

/** Whether node_modules has, in the right version, every package of the lock file that this platform needs. */
function installed() {
  const lock = `${root}/node_modules/.package-lock.json`;
  if (!existsSync(lock)) return false;
  const present = packages(lock);
  return Object.entries(packages(`${root}/package-lock.json`)).every(
    ([path, wanted]) => path === '' || wanted.optional || present[path]?.version === wanted.version,
  );
}

/** @param {string} lockFile */
function packages(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  // npm is a shell script on Windows.
  const shell = process.platform === 'win32' && command === 'npm';
  const {status, error} = spawnSync(command, args, {cwd: root, stdio: 'inherit', shell});
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

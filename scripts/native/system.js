/** What the set-up needs of the machine: folders, tools, running commands. */
import {spawnSync} from 'node:child_process';
import {mkdirSync} from 'node:fs';
import {homedir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';

export const packageRoot = fileURLToPath(new URL('../..', import.meta.url));

/**
 * A folder in the user's cache, made if it is not there.
 * @param {string} name
 */
export function cacheFolder(name) {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tfjs-mamba', name);
  mkdirSync(folder, {recursive: true});
  return folder;
}

/**
 * Runs a command to its end and gives what it printed; throws with the end of that if it fails.
 * @param {string} command
 * @param {string[]} args
 * @param {{cwd?: string, show?: boolean}} [options] show: straight to the terminal
 */
export function run(command, args, {cwd, show = false} = {}) {
  const {status, error, stdout, stderr} = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: show ? 'inherit' : 'pipe',
    maxBuffer: 1 << 28,
  });
  if (error) throw error;
  if (status !== 0) {
    const tail = show ? '' : `\n${`${stdout}${stderr}`.trim().split('\n').slice(-30).join('\n')}`;
    throw new Error(`${[command, ...args].join(' ')} failed with exit status ${status}${tail}`);
  }
  return stdout ?? '';
}

/** @param {string} command */
function present(command) {
  return spawnSync(command, ['--version'], {stdio: 'ignore'}).status === 0;
}

/**
 * Throws a list of the tools that are missing, and how to get them.
 * @param {boolean} cuda
 */
export function requireTools(cuda) {
  const missing = [
    present(compiler()) ? '' : `a C++17 compiler (${compiler()} was not found; CXX names another)`,
    present('cmake') ? '' : 'cmake',
    cuda && !present('nvcc') ? 'nvcc of the CUDA toolkit, 12 or 13, in PATH' : '',
  ].filter(Boolean);
  if (missing.length > 0) {
    throw new Error(
      `missing: ${missing.join('; ')}.\nOn Debian and Ubuntu: apt-get install g++ cmake. On Fedora: dnf install gcc-c++ cmake.`,
    );
  }
}

export function compiler() {
  return process.env.CXX || 'c++';
}

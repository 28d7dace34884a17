/** Runs programs as this package's users write them, on what is built. */
import {execFileSync} from 'node:child_process';
import {resolve} from 'node:path';

/** The repository. */
export const root = resolve(import.meta.dirname, '../..');

/** Runs an ES module in a process of its own, in which `tfjs-mamba` is this package, and returns what it prints as JSON. */
export function runAsUser(code: string): unknown {
  const args = ['--input-type=module', '-'];
  return JSON.parse(execFileSync(process.execPath, args, {cwd: root, encoding: 'utf8', input: code, stdio: 'pipe'}));
}

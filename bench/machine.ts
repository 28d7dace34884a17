/** What this machine's processors and memory can do at best, measured by machine.cc; it needs a C++ compiler. */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

/** All a second, on every processor. */
export interface Machine {
  /** Bytes read from memory. */
  read: number;
  /** Bytes read and written. */
  copy: number;
  exponentials: number;
}

/** Undefined, and a line that says so, where there is no compiler. */
export function measureMachine(): Machine | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  try {
    const program = join(folder, 'machine');
    const flags = [
      '-std=c++17',
      '-O3',
      '-march=native',
      '-fno-math-errno',
      '-fno-trapping-math',
      '-Wno-psabi',
      '-pthread',
    ];
    output(process.env['CXX'] ?? 'c++', [...flags, join(import.meta.dirname, 'machine.cc'), '-o', program]);
    const machine = JSON.parse(output(program, [])) as Machine;
    const {read, copy, exponentials} = machine;
    console.log(
      `machine: reads ${(read / 1e9).toFixed(1)} GB/s, copies ${(copy / 1e9).toFixed(1)} GB/s (bytes read and written), ` +
        `${(exponentials / 1e9).toFixed(1)} exponentials a nanosecond`,
    );
    return machine;
  } catch (error) {
    console.log(`The floors of the machine are left out: ${(error as Error).message}`);
    return undefined;
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/** What a program prints; throws what it complains of. */
export function output(command: string, args: string[]): string {
  const {stdout, stderr, status, error} = spawnSync(command, args, {encoding: 'utf8', maxBuffer: 1 << 28});
  if (error) throw error;
  if (status !== 0) throw new Error(`${command} failed: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
  return stdout;
}

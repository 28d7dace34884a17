/** For specs of interrupted saves: a file layer that dies, a disk that is full, and where files are quick. */
import {existsSync} from 'node:fs';
import fs from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {syncBuiltinESMExports} from 'node:module';

/** Where files are in memory if the system has such a place: kills need no disk, and flushing one takes its time. */
export function quickFolder(): string {
  return existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
}

const functions = ['mkdir', 'open', 'rename', 'rm', 'writeFile', 'rmdir', 'unlink'] as const;
const methods = ['write', 'writeFile', 'sync'] as const;
type Call = (...args: unknown[]) => unknown;

/**
 * Runs the work; from its k-th call of node:fs/promises that changes something, that one and all later ones fail, as after a kill. A write
 * that fails has written half of its bytes. Gives the number of calls, and whether one failed.
 */
export async function onDyingDisk(k: number, work: () => Promise<unknown>): Promise<{calls: number; died: boolean}> {
  let calls = 0;
  const counted =
    (call: Call, onDeath?: Call): Call =>
    async (...args) => {
      if (++calls >= k) {
        if (calls === k) await onDeath?.(...args);
        throw new Error('the disk died');
      }
      return call(...args);
    };
  const own = Object.fromEntries(functions.map((name) => [name, fs[name]])) as unknown as Record<string, Call>;
  const patched = fs as unknown as Record<string, Call>;
  for (const name of functions) patched[name] = counted(own[name]);
  patched['open'] = counted(async (...args) => {
    const file = (await own['open'](...args)) as Record<string, Call>;
    for (const name of methods) {
      const call = file[name].bind(file);
      const half =
        name === 'write'
          ? (bytes: unknown) => call((bytes as Uint8Array).subarray(0, (bytes as Uint8Array).length >> 1))
          : undefined;
      file[name] = counted(call, half);
    }
    return file;
  });
  syncBuiltinESMExports();
  try {
    await work();
    return {calls, died: false};
  } catch (error) {
    if (!/the disk died/.test((error as Error).message)) throw error;
    return {calls, died: true};
  } finally {
    Object.assign(fs, own);
    syncBuiltinESMExports();
  }
}

/** Runs the work on a disk on which, after so many bytes, nothing more is written; what is there can be read, renamed and removed. */
export async function onFullDisk<T>(room: number, work: () => Promise<T>): Promise<T> {
  let left = room;
  const taken = (bytes: number) => {
    if (bytes > left) throw Object.assign(new Error('ENOSPC: no space left on device, write'), {code: 'ENOSPC'});
    left -= bytes;
  };
  const {open, writeFile} = fs;
  const patched = fs as unknown as Record<string, Call>;
  patched['open'] = async (...args) => {
    const file = (await (open as unknown as Call)(...args)) as Record<string, Call>;
    const write = file['write'].bind(file);
    file['write'] = async (bytes, from = 0, ...rest) => {
      taken((bytes as Uint8Array).length - (from as number));
      return write(bytes, from, ...rest);
    };
    return file;
  };
  patched['writeFile'] = async (path, data) => {
    taken((data as string).length);
    return (writeFile as unknown as Call)(path, data);
  };
  syncBuiltinESMExports();
  try {
    return await work();
  } finally {
    Object.assign(fs, {open, writeFile});
    syncBuiltinESMExports();
  }
}

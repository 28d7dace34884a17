/** `tfjs-mamba doctor`: what this machine has for the package, what is missing, and the command that brings it. */
import type {Command} from 'commander';
import type {RunFlags} from './flags';
import {withOutput} from './flags';
import type {Io} from './io';

const help = `
It ends with 1 if no backend computes right, and else with 0.

Example:
  $ tfjs-mamba doctor --json | jq .backends`;

export function doctor(command: Command, io: Io): void {
  command.description('look at backends, native kernels and GPU, and say what to install').addHelpText('after', help);
  withOutput(command, 'all of it as JSON');
  command.action(({json}: RunFlags) => act(json, io));
}

async function act(json: boolean | undefined, io: Io): Promise<void> {
  const {examine} = await import('./examine');
  const found = await examine();
  if (json) io.out(`${JSON.stringify(found)}\n`);
  else {
    const list = (title: string, lines: string[]) =>
      io.out(`${title}\n${lines.map((line) => `  ${line}\n`).join('')}\n`);
    list('machine', Object.entries(found.machine).map(([name, value]) => `${name.padEnd(14)}${value}`)); // prettier-ignore
    list(
      'backends, the best first',
      found.backends.map(({backend, works, note}) => `${works ? '✓' : '✗'} ${backend.padEnd(12)}${note}`),
    );
    list('packages', found.packages.map(({name, version, use}) => `${version ? '✓' : '✗'} ${name.padEnd(34)}${version ?? use}`)); // prettier-ignore
    if (found.advice.length === 0) io.out('Nothing is missing.\n');
    else list('what to do', found.advice.map(({why, command}) => `${command.padEnd(46)}${why}`)); // prettier-ignore
  }
  if (!found.backends.some(({works}) => works)) throw new Error('no backend computes right');
}

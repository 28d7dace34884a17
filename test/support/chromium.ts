/**
 * Headless Chromium, with a GPU done in software (SwiftShader) where the machine has none: all flags are needed, or WebGL has no float
 * targets and WebGPU returns zeros.
 */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chromium, type Browser} from 'playwright-core';
import {noZeros} from './dawnToggles';

const flags = [
  '--headless=new',
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  '--ignore-gpu-blocklist',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-vulkan=swiftshader',
  '--enable-features=Vulkan',
  `--enable-dawn-features=${noZeros}`,
];

/** Where the common systems have it; CHROMIUM says another place. */
const places = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
];

const find = () => places.find((place) => place !== undefined && existsSync(place));

/** Starts it; on a Debian without one, root gets its package first. Throws an error that says how to get it. */
export async function startChromium(): Promise<Browser> {
  const executablePath = find() ?? install();
  if (executablePath === undefined) {
    throw new Error('No Chromium. On Debian: apt-get install chromium. Elsewhere set CHROMIUM to the path of one.');
  }
  return chromium.launch({executablePath, args: flags, ignoreDefaultArgs: ['--headless']});
}

function install(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  console.log('Installing the Debian package chromium.');
  for (const args of [['update'], ['install', '--yes', '--no-install-recommends', 'chromium']]) {
    spawnSync('apt-get', args, {stdio: 'ignore'});
  }
  return find();
}

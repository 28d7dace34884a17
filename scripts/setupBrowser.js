/**
 * `npm run setup:browser`: installs what the webgpu specs and the specs in a browser need, where apt can do it and it is not there yet:
 * Chromium, whose software driver (SwiftShader) is the GPU, and the Vulkan loader.
 */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {argv} from 'node:process';
import {fileURLToPath} from 'node:url';

/** Debian's packages and a file of each. */
const packages = {
  chromium: ['/usr/lib/chromium/vk_swiftshader_icd.json'],
  libvulkan1: ['x86_64', 'aarch64'].map((machine) => `/usr/lib/${machine}-linux-gnu/libvulkan.so.1`),
};

export function setupBrowser() {
  const missing = Object.entries(packages)
    .filter(([, files]) => !files.some((file) => existsSync(file)))
    .map(([name]) => name);
  if (missing.length === 0) return;
  console.log(`Installing ${missing.join(' and ')}.`);
  if (!install(missing)) {
    run('apt-get', ['update', '-qq']);
    if (!install(missing)) {
      throw new Error(
        `The webgpu specs need ${missing.join(' and ')}: please install the Debian packages of these names`,
      );
    }
  }
}

/** @param {string[]} names */
function install(names) {
  return run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names]);
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const sudo = process.getuid?.() !== 0;
  const [program, ...rest] = sudo ? ['sudo', '-n', command, ...args] : [command, ...args];
  const env = {...process.env, DEBIAN_FRONTEND: 'noninteractive'};
  return spawnSync(program, rest, {stdio: ['ignore', 'ignore', 'inherit'], env}).status === 0;
}

if (argv[1] === fileURLToPath(import.meta.url)) setupBrowser();

/**
 * `npm run build:wasm`: compiles custom-ops/wasm (AssemblyScript) into src/backends/wasm/binaries, as text inside modules, so that no
 * bundler and no page has to find a file. There is a binary for each family of layers, so that a page takes no other's; what two of them
 * use is in both. The results are committed; test/tooling/wasm.spec.ts shows that they are of this source.
 */
import {readFile, writeFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {toText} from '../src/backends/wasm/text';

/** What is used of the compiler. Its own types bring in AssemblyScript's globals, which would change TypeScript's for every file. */
interface Compiler {
  main(
    options: string[],
    host: {
      readFile(name: string, baseDir: string): Promise<string | null>;
      writeFile(name: string, contents: string | Uint8Array): void;
      listFiles(): string[];
    },
  ): Promise<{error: Error | null; stderr: {toString(): string}}>;
}

const compiler: string = 'assemblyscript/asc';
const root = fileURLToPath(new URL('..', import.meta.url));

/** The sources that say what is in a binary, and the names of the binaries. */
export const families = ['shared', 'mamba', 'mamba2', 'lm', 'draw'];

/**
 * The module imports its memory, so that it works on TensorFlow.js's heap. It is compiled for a shared memory of any size; the loader
 * changes one byte where the memory is not shared.
 */
const options = [
  ...['--outFile', 'out.wasm', '--baseDir', root, '--runtime', 'stub', '--noAssert', '-O3', '--converge'],
  ...['--importMemory', '--initialMemory', '0', '--maximumMemory', '65536', '--sharedMemory', '--zeroFilledMemory'],
  ...['--enable', 'simd', '--enable', 'threads', '--enable', 'bulk-memory', '--disableWarning'],
];

/** Compiles and returns a module's bytes. */
export async function compileWasm(family: string): Promise<Uint8Array> {
  const {default: asc} = (await import(compiler)) as {default: Compiler};
  let binary: Uint8Array | undefined;
  const {error, stderr} = await asc.main([`custom-ops/wasm/${family}.ts`, ...options], {
    readFile: (name, baseDir) => readFile(`${baseDir}/${name}`, 'utf8').catch(() => null),
    writeFile: (name, contents) => void (name === 'out.wasm' && (binary = contents as Uint8Array)),
    listFiles: () => [],
  });
  if (error !== null || binary === undefined) {
    throw new Error(`AssemblyScript: ${error?.message ?? 'no output'}\n${stderr.toString()}`);
  }
  return binary;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const family of families) {
    const binary = await compileWasm(family);
    await writeFile(
      `${root}/src/backends/wasm/binaries/${family}.ts`,
      `/** Compiled from custom-ops/wasm/${family}.ts by \`npm run build:wasm\`; src/backends/wasm/text.ts reads it. */\n` +
        `export const ${family} =\n  ${JSON.stringify(toText(binary))};\n`,
    );
    console.log(`src/backends/wasm/binaries/${family}.ts: ${binary.length} bytes`);
  }
}

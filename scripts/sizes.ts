/**
 * `npm run sizes`: what typical imports add to a page that has TensorFlow.js, as a bundler leaves them: minified, and as they travel,
 * by gzip. Measured on dist/, so `npm run build` comes first. test/tooling/sizes.spec.ts holds the sizes.
 */
import {fileURLToPath} from 'node:url';
import {gzipSync} from 'node:zlib';
import {build} from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));

const layer = (backend: string) =>
  `import {mamba} from 'tfjs-mamba/layers'; import 'tfjs-mamba/backends/${backend}/mamba'; console.log(mamba);`;

/** What a page may import. */
export const imports = {
  'one layer on cpu': layer('cpu'),
  'one layer on webgl': layer('webgl'),
  'one layer on webgpu': layer('webgpu'),
  'one layer on wasm': layer('wasm'),
  'a language model that generates, on webgpu': `
    import {fromPretrained} from 'tfjs-mamba/lm'; import 'tfjs-mamba/backends/webgpu/mamba'; import 'tfjs-mamba/backends/webgpu/lm';
    console.log(fromPretrained);`,
  everything: `export * from 'tfjs-mamba';`,
};

/** Bytes as they travel and as they are parsed, without the peers. */
export async function sizeOf(code: string): Promise<{gzipped: number; minified: number}> {
  const {outputFiles} = await build({
    stdin: {contents: code, resolveDir: root},
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    external: ['@tensorflow/*', '@huggingface/*'],
    write: false,
    logLevel: 'error',
  });
  const [{contents}] = outputFiles;
  return {gzipped: gzipSync(contents).length, minified: contents.length};
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, code] of Object.entries(imports)) {
    const {gzipped, minified} = await sizeOf(code);
    console.log(
      `${(gzipped / 1000).toFixed(1).padStart(6)} kB gzipped, ${(minified / 1000).toFixed(1).padStart(6)} kB minified: ${name}`,
    );
  }
}

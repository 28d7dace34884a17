/** The compiled modules that are committed, against their source. */
import {readdirSync} from 'node:fs';
import {compileWasm, families} from '../../scripts/buildWasm';
import {fromText, toText} from '../../src/backends/wasm/text';

const folder = new URL('../../src/backends/wasm/binaries/', import.meta.url);

async function committed(family: string): Promise<string> {
  const {[family]: binary} = (await import(new URL(`${family}.ts`, folder).href)) as Record<string, string>;
  return binary;
}

describe('src/backends/wasm/binaries', () => {
  it('are those that npm run build:wasm makes', () => {
    expect(readdirSync(folder).sort()).toEqual(families.map((family) => `${family}.ts`).sort());
  });

  it('are text that is read as it was written', () => {
    const bytes = Uint8Array.from({length: 512}, (_, i) => i); // each byte twice
    expect(fromText(toText(bytes))).toEqual(bytes);
    expect(JSON.stringify(toText(bytes))).toBe(`"${toText(bytes)}"`);
  });

  for (const family of families) {
    it(`has for ${family} what is made of custom-ops/wasm`, async () => {
      expect(toText(await compileWasm(family))).toBe(await committed(family));
    });

    it(`imports in ${family} its memory and has no data to put there, which would overwrite that of TensorFlow.js`, async () => {
      const bytes = fromText(await committed(family));
      const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map(
        ({module, name}) => `${module}.${name}`,
      );
      expect(imports).toContain('env.memory');
      expect(imports.filter((name) => !['env.log', 'env.memory'].includes(name))).toEqual([]);
      expect(sections(bytes)).not.toContain(DATA);
    });
  }
});

const DATA = 11;

/** The ids of a module's sections. */
function sections(bytes: Uint8Array): number[] {
  const ids: number[] = [];
  let at = 8; // behind magic number and version
  while (at < bytes.length) {
    ids.push(bytes[at++]);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      size |= (byte & 127) << shift;
      if (byte < 128) break;
    }
    at += size;
  }
  return ids;
}

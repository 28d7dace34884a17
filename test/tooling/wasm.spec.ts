/** The compiled module that is committed, against its source. */
import {compileWasm} from '../../scripts/buildWasm';
import {binary} from '../../src/backends/wasm/binary';

describe('src/backends/wasm/binary.ts', () => {
  it('is what npm run build:wasm makes of custom-ops/wasm', async () => {
    expect(Buffer.from(await compileWasm()).toString('hex')).toBe(binary);
  });

  it('imports its memory and has no data to put there, which would overwrite that of TensorFlow.js', () => {
    const bytes = Buffer.from(binary, 'hex');
    const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes)).map(
      ({module, name}) => `${module}.${name}`,
    );
    expect(imports.sort()).toEqual(['env.log', 'env.memory']);
    expect(sections(bytes)).not.toContain(DATA);
  });
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

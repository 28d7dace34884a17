/** Where kernels are brought into a program, and what `sideEffects` in package.json tells bundlers of it. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {root} from '../support/asUser';

const src = join(root, 'src');
const backends = ['cpu', 'tensorflow', 'wasm', 'webgl', 'webgpu'];

/** The TypeScript files below a folder of src/, as paths relative to src/ without their ending. */
function modules(folder: string): string[] {
  return readdirSync(join(src, folder), {recursive: true, encoding: 'utf8'})
    .filter((file) => file.endsWith('.ts'))
    .map((file) => join(folder, file).slice(0, -'.ts'.length));
}

const text = (module: string) => readFileSync(join(src, `${module}.ts`), 'utf8');

/** The modules that a module imports for nothing but what they do, as paths relative to src/. */
function bareImports(module: string): string[] {
  return [...text(module).matchAll(/^import '(.*)';$/gm)].map(([, path]) => {
    const target = join(module, '..', path);
    return existsSync(join(src, `${target}.ts`)) ? target : join(target, 'index');
  });
}

describe('kernel files', () => {
  it('of composed forms come with src/kernels/composed.ts, but for those that their ops bring', () => {
    const files = modules('ops').filter((file) => file.endsWith('/composed'));
    const brought = ['embedding', 'packedLinear', 'unpackRows'].map((op) => `ops/${op}/composed`);
    expect([...bareImports('kernels/composed'), ...brought].sort()).toEqual(files.sort());
    expect(bareImports('kernels/all')).toContain('kernels/composed');
  });

  for (const backend of backends) {
    it(`are each imported by a file of src/kernels/${backend}`, () => {
      const name = backend === 'cpu' ? 'typed' : backend;
      const pattern = new RegExp(`^ops/[^/]+/${name}(/index)?$`);
      const files = modules('ops').filter((file) => pattern.test(file));
      const imported = new Set(modules(`kernels/${backend}`).flatMap(bareImports));
      expect(files.length).toBeGreaterThan(0);
      expect(files.filter((file) => !imported.has(file))).toEqual([]);
    });

    it(`come with src/kernels/${backend}.ts, and with src/kernels/all.ts`, () => {
      expect(bareImports(`kernels/${backend}`).sort()).toEqual(modules(`kernels/${backend}`).sort());
      expect(bareImports('kernels/all')).toContain(`kernels/${backend}`);
    });
  }
});

describe('sideEffects', () => {
  const {sideEffects} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {sideEffects: string[]};
  const wild = (part: string) => part.replaceAll('.', '\\.').replaceAll('*', '[^/]*');
  const patterns = sideEffects.map((glob) => new RegExp(`^${glob.split('**').map(wild).join('.+')}$`));
  const named = (module: string) => patterns.some((pattern) => pattern.test(`./dist/${module}.js`));

  /** Statements that do something when the module is loaded: calls and assignments at the left margin, and imports for nothing else. */
  const acts = (module: string) =>
    /^(import '|if |for |[a-zA-Z.]+(<.*>)?\(|[a-zA-Z\d]+\.[a-zA-Z]+ = )/m.test(
      text(module).replace(/`[^`]*`|\/\*[^]*?\*\//g, ''),
    );

  it('names the modules that register kernels and gradients, and no others', () => {
    // An op's index brings its gradient with it, a class its registration: both are for who uses them.
    const whenUsed = (module: string) => /^ops\/[^/]+\/index$|^(layers|lm|training)\//.test(module);
    for (const module of modules('.')) {
      if (whenUsed(module)) expect(named(module)).withContext(module).toBeFalse();
      else expect(named(module)).withContext(module).toBe(acts(module));
    }
  });
});

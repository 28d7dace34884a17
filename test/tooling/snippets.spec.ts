/**
 * Every `js` block of the README and of the guides that show whole programs, run as it stands in a folder of its own, as a user's program. A checkpoint of the published
 * layout, but tiny, is there under the name that they use, and so is a text. What is for a page, in the guide to workers, passes the compiler.
 */
import {execFile} from 'node:child_process';
import {copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {root, runAsUser} from '../support/asUser';

const run = promisify(execFile);

const files = ['README.md', ...['adapters', 'cluster', 'mixers', 'sizes', 'states'].map((name) => `guides/${name}.md`)];
const blocks = (file: string) =>
  [...readFileSync(join(root, file), 'utf8').matchAll(/^```js\n([^]*?)^```$/gm)].map(([, code], i) => ({
    name: `${file}, number ${i + 1}`,
    code,
  }));
const snippets = files.flatMap(blocks);

describe('a program of', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-snippets-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(root, join(folder, 'node_modules/tfjs-mamba'), 'junction');
    symlinkSync(join(root, 'node_modules/@tensorflow'), join(folder, 'node_modules/@tensorflow'), 'junction');
    const checkpoint = join(folder, 'mamba-130m-hf');
    runAsUser(`
      import {mambaLM, savePretrained} from 'tfjs-mamba/node';
      await savePretrained(mambaLM({vocabSize: 50280, dModel: 4, nLayer: 1}), ${JSON.stringify(checkpoint)});
      console.log('null');
    `);
    copyFileSync(join(root, 'test/fixtures/golden/tokenizer/tokenizer.json'), join(checkpoint, 'tokenizer.json'));
    writeFileSync(join(folder, 'my-text.txt'), 'All happy families are alike. '.repeat(40));
  });

  // Two programs keep their checkpoints there, of different models.
  afterEach(() => rmSync(join(folder, 'run'), {recursive: true, force: true}));
  afterAll(() => rmSync(folder, {recursive: true}));

  it('some kind is there for each of the users', () => {
    const all = snippets.map(({code}) => code).join('');
    for (const word of ['layers.mambaBlock', 'fromPretrained', 'trainer(']) expect(all).toContain(word);
  });

  it('the README, or of the guide to workers, is one in TypeScript too, with strict types', async () => {
    const programs = [...snippets.filter(({name}) => name.startsWith('README')), ...blocks('guides/worker.md')].map(
      ({code}, i) => {
        const program = join(folder, `program${i}.mts`);
        writeFileSync(program, code);
        return program;
      },
    );
    const flags = '--noEmit --strict --skipLibCheck --module nodenext --target es2022 --types node'.split(' ');
    const tsc = [join(root, 'node_modules/typescript/bin/tsc'), '--ignoreConfig', ...flags];
    await expectAsync(
      run(process.execPath, [...tsc, '--typeRoots', join(root, 'node_modules/@types'), ...programs], {cwd: folder}),
    ).toBeResolved();
  });

  for (const {name, code} of snippets) {
    it(`${name}, runs`, async () => {
      const program = join(folder, `${name.replace(/\W/g, '-')}.mjs`);
      writeFileSync(program, code);
      await expectAsync(run(process.execPath, [program], {cwd: folder})).toBeResolved();
    });
  }
});

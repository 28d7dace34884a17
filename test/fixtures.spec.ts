/** The reference data is what it was when it was recorded: a test must not pass because its expectation was changed. */
import {createHash} from 'node:crypto';
import {readdirSync, readFileSync, statSync} from 'node:fs';
import {join, resolve} from 'node:path';

const golden = resolve(import.meta.dirname, 'fixtures/golden');

describe('golden data', () => {
  const manifest = JSON.parse(readFileSync(join(golden, 'MANIFEST.json'), 'utf8')) as Record<
    string,
    {bytes: number; sha256: string}
  >;

  it('is byte for byte what its manifest says', () => {
    for (const [file, {bytes, sha256}] of Object.entries(manifest)) {
      const data = readFileSync(join(golden, file));
      expect(data.length).withContext(file).toBe(bytes);
      expect(createHash('sha256').update(data).digest('hex')).withContext(file).toBe(sha256);
    }
  });

  it('has no data file that the manifest does not list', () => {
    const described = /^(MANIFEST\.json|README\.md|[^/]+\/index\.json)$/;
    const files = readdirSync(golden, {recursive: true, encoding: 'utf8'})
      .filter((file) => statSync(join(golden, file)).isFile())
      .map((file) => file.replaceAll('\\', '/'))
      .filter((file) => !described.test(file));
    expect(files.sort()).toEqual(Object.keys(manifest).sort());
  });
});

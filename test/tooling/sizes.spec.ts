/** What typical imports add to a page. The bounds leave a little room; what outgrows one is to be looked at before it is raised. */
import {imports, sizeOf} from '../../scripts/sizes';

/** In thousands of bytes, by gzip. */
const bounds: Record<keyof typeof imports, number> = {
  'one layer on cpu': 16.4,
  'one layer on webgl': 22.6,
  'one layer on webgpu': 25,
  'one layer on wasm': 25,
  'a language model that generates, on webgpu': 76.5,
  everything: 174.2,
};

describe('an import', () => {
  for (const [name, code] of Object.entries(imports)) {
    it(`of ${name} stays small`, async () => {
      const {gzipped} = await sizeOf(code);
      expect(gzipped).toBeLessThan(1000 * bounds[name as keyof typeof bounds]);
      expect(gzipped).withContext('found at all').toBeGreaterThan(10_000);
    });
  }
});

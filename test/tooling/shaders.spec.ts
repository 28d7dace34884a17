/** Every variant of every WebGPU shader compiles, and makes a pipeline, on a device with no more than what WebGPU guarantees. */
import '../../src';
import {allPrograms, moduleCode} from '../../src/backends/webgpuProgram';
import {nullDevice} from '../support/dawn';

describe('WebGPU shaders', () => {
  let device: GPUDevice;

  beforeAll(async () => {
    device = await nullDevice();
  });

  afterAll(() => device.destroy());

  async function errorOf(code: string): Promise<string | undefined> {
    device.pushErrorScope('validation');
    const module = device.createShaderModule({code});
    device.createComputePipeline({layout: 'auto', compute: {module, entryPoint: 'main'}});
    return (await device.popErrorScope())?.message;
  }

  it('are checked at all: one that is wrong is reported', async () => {
    expect(await errorOf('@compute @workgroup_size(64) fn main() { let x: u32 = 1.5; }')).toContain('WGSL');
  });

  for (const program of allPrograms()) {
    it(`of ${program.name} compile in every variant`, async () => {
      const wrong: string[] = [];
      for (const variant of program.variants) {
        const message = await errorOf(moduleCode(program.build(variant)));
        if (message !== undefined) wrong.push(`${JSON.stringify(variant)}: ${message}`);
      }
      expect(program.variants.length).toBeGreaterThan(0);
      expect(wrong).toEqual([]);
    });

    it(`of ${program.name} bind no more than eight storage buffers`, () => {
      const counts = program.variants.map((variant) => Object.keys(program.build(variant).buffers).length);
      expect(Math.max(...counts)).toBeLessThanOrEqual(8);
    });
  }
});

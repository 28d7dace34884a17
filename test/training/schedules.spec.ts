/** Learning-rate schedules. */
import {scheduleFromConfig, warmupConstant, warmupCosine, warmupLinear} from '../../src/training/schedules';
import type {ScheduleConfig} from '../../src/training/schedules';

const options = {peak: 4e-3, warmupSteps: 10, totalSteps: 110, floor: 1e-5};

describe('warmupCosine', () => {
  const schedule = warmupCosine(options);

  it('rises linearly to the peak', () => {
    expect(schedule(1)).toBeCloseTo(4e-4, 12);
    expect(schedule(5)).toBeCloseTo(2e-3, 12);
    expect(schedule(10)).toBe(4e-3);
  });

  it('falls as a half cosine, and stays at the floor', () => {
    expect(schedule(60)).toBeCloseTo((4e-3 + 1e-5) / 2, 12);
    expect(schedule(35)).toBeCloseTo(1e-5 + ((4e-3 - 1e-5) * (1 + Math.SQRT1_2)) / 2, 12);
    expect(schedule(110)).toBe(1e-5);
    expect(schedule(100_000)).toBe(1e-5);
  });

  it('starts at the peak without a warm-up, and ends at 1e-5 unless told', () => {
    const without = warmupCosine({peak: 1, warmupSteps: 0, totalSteps: 1000});
    expect(without(1)).toBeCloseTo(1, 5);
    expect(without(1000)).toBe(1e-5);
  });

  it('is made again from its config', () => {
    const again = scheduleFromConfig(JSON.parse(JSON.stringify(schedule.config)) as ScheduleConfig);
    for (const step of [1, 7, 10, 11, 64, 110, 200]) {
      expect(again(step)).toBe(schedule(step));
    }
  });

  const wrong: [object, string][] = [
    [{peak: 0}, 'warmupCosine: peak must be a positive number, but is 0'],
    [{peak: '1'}, 'warmupCosine: peak must be a positive number, but is "1"'],
    [{warmupSteps: 1.5}, 'warmupCosine: warmupSteps must be a whole number of 0 or more, but is 1.5'],
    [{totalSteps: 10}, 'warmupCosine: totalSteps must be more than warmupSteps, 10, but is 10'],
    [{floor: -1}, 'warmupCosine: floor must be a number of 0 or more, but is -1'],
    [{floor: 1}, 'warmupCosine: floor must be at most peak, 0.004, but is 1'],
    [
      {warmup: 1},
      'warmupCosine: unknown argument warmup; expected peak, warmupSteps, totalSteps, floor; did you mean warmupSteps?',
    ],
  ];
  for (const [change, message] of wrong) {
    it(`names what is wrong in ${JSON.stringify(change)}`, () => {
      expect(() => warmupCosine({...options, ...change})).toThrowError(message);
    });
  }

  it('refuses a saved schedule that it does not know', () => {
    expect(() => scheduleFromConfig({name: 'stairs'} as never)).toThrowError(
      'adamW: the saved schedule is of an unknown kind, stairs',
    );
  });
});

describe('the other schedules', () => {
  const linear = warmupLinear({peak: 1, warmupSteps: 2, totalSteps: 10, floor: 0.2});
  const constant = warmupConstant({peak: 3, warmupSteps: 4});

  it('rise likewise, and fall in a line, or stay', () => {
    expect([1, 2, 6, 10, 99].map(linear)).toEqual([0.5, 1, jasmine.any(Number), 0.2, 0.2]);
    expect(linear(6)).toBeCloseTo(0.6, 12);
    expect([1, 3, 4, 5, 1e6].map(constant)).toEqual([0.75, 2.25, 3, 3, 3]);
    expect(warmupConstant({peak: 3, warmupSteps: 0})(1)).toBe(3);
  });

  it('are made again from their configs, and name what is wrong', () => {
    for (const schedule of [linear, constant]) {
      const again = scheduleFromConfig(JSON.parse(JSON.stringify(schedule.config)) as ScheduleConfig);
      expect([1, 3, 7, 20].map(again)).toEqual([1, 3, 7, 20].map(schedule));
    }
    expect(() => warmupLinear({peak: 1, warmupSteps: 2, totalSteps: 2})).toThrowError(
      'warmupLinear: totalSteps must be more than warmupSteps, 2, but is 2',
    );
    expect(() => warmupConstant({peak: 1, warmupSteps: -1})).toThrowError(
      /^warmupConstant: warmupSteps must be a whole/,
    );
  });
});

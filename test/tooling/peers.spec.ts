/** The programs that the benchmarks compare with: one that is not installed whole is named, and the others are measured. */
import {output} from '../../bench/machine';
import {ofPeer} from '../../bench/peers/peers';

describe('a peer of the benchmarks', () => {
  const node = (code: string) =>
    ofPeer('Some peer', () => JSON.parse(output(process.execPath, ['-e', code])) as unknown);

  it('gives what it prints', () => {
    expect(node('console.log(JSON.stringify({decode: 5}))')).toEqual({decode: 5});
  });

  it('that fails is named and left out', () => {
    const log = spyOn(console, 'log');
    for (const broken of ['throw new Error("no module torch")', 'console.log("no numbers")']) {
      expect(node(broken)).toBeUndefined();
      expect(log.calls.mostRecent().args[0]).toMatch(
        /^Some peer is left out: .*\n(.*\n)*bench\/peers\/README\.md says how/,
      );
    }
    expect(ofPeer('Some peer', () => output('/no/such/python', []))).toBeUndefined();
    expect(log).toHaveBeenCalledTimes(3);
  });
});

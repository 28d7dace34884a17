/**
 * Prints the specs that took longest, to show where the minutes of a backend go. In Node by processor time, all threads together, which
 * says the same on a busy machine; in a page, which cannot know that, by the clock.
 */

/** How many lines; `npm test -- --slowest 50` prints more. */
const shown = Number(process.env['TFJS_MAMBA_SLOWEST'] ?? 8);

/** Seconds since some start. */
const seconds = typeof document === 'undefined' ? processorSeconds : () => performance.now() / 1000;

function processorSeconds(): number {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e6;
}

/** A jasmine reporter; specs of less than half a second are not worth a line. */
export function slowestReporter(print: (line: string) => void): jasmine.CustomReporter {
  const slow: {name: string; took: number}[] = [];
  const begin = seconds();
  let started = 0;
  return {
    specStarted() {
      started = seconds();
    },
    specDone({fullName}) {
      slow.push({name: fullName, took: seconds() - started});
    },
    jasmineDone() {
      slow.sort((a, b) => b.took - a.took);
      print(`${(seconds() - begin).toFixed(0)} s, of which most in:`);
      for (const {name, took} of slow.slice(0, shown)) if (took >= 0.5) print(`  ${took.toFixed(1)} s  ${name}`);
    },
  };
}

/** Prints the specs that took longest, to show where the minutes of a backend go. */

const shown = 8;

/** A jasmine reporter; specs of less than a second are not worth a line. */
export function slowestReporter(print: (line: string) => void): jasmine.CustomReporter {
  const slow: {name: string; seconds: number}[] = [];
  return {
    specDone({fullName, duration}) {
      if (duration !== null && duration >= 1000) slow.push({name: fullName, seconds: duration / 1000});
    },
    jasmineDone() {
      slow.sort((a, b) => b.seconds - a.seconds);
      if (slow.length > 0) print('Slowest:');
      for (const {name, seconds} of slow.slice(0, shown)) print(`  ${seconds.toFixed(1)} s  ${name}`);
    },
  };
}

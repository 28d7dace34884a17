/** Counts specs for scripts/runTests.ts, which adds the numbers of all test processes. */

/** What one test process did. */
export interface SpecCounts {
  passed: number;
  failed: number;
}

/**
 * A jasmine reporter that hands over the counts when all specs have run. A spec that is pending, focused or excluded, an
 * error outside any spec, and a run without specs all count as failures: nothing is skipped silently.
 */
export function countingReporter(done: (counts: SpecCounts) => void): jasmine.CustomReporter {
  const counts: SpecCounts = {passed: 0, failed: 0};
  return {
    specDone(spec) {
      if (spec.status === 'passed') counts.passed++;
      else if (spec.status !== 'excluded' || !isFiltered()) counts.failed++;
    },
    suiteDone(suite) {
      if (suite.failedExpectations.length > 0) counts.failed++;
    },
    jasmineDone(run) {
      if (run.failedExpectations.length > 0) counts.failed++;
      const nothingWrong = run.overallStatus === 'passed' || (isFiltered() && counts.passed > 0);
      if (counts.failed === 0 && !nothingWrong) counts.failed = 1;
      done(counts);
    },
  };
}

/** True if someone asked for some specs only, by `--filter`. */
function isFiltered(): boolean {
  return process.argv.some((argument) => argument.startsWith('--filter'));
}

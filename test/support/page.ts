/** In the browser: runs the specs that browser.ts has bundled, and reports. */
import {countingReporter, type SpecCounts} from './counts';
import {slowestReporter} from './slowest';

/** The functions that inChromium.ts exposes to the page. */
declare global {
  function report(counts: SpecCounts): Promise<void>;
  function printLine(text: string): Promise<void>;
}

export async function execute(filter: string | null, seed: string | null): Promise<void> {
  const env = jasmine.getEnv();
  const pattern = filter === null ? undefined : new RegExp(filter);
  env.configure({
    random: true,
    ...(seed !== null && {seed}),
    failSpecWithoutExpectations: true,
    forbidDuplicateNames: true,
    specFilter: (spec: {getFullName(): string}) => pattern?.test(spec.getFullName()) ?? true,
  } as jasmine.EnvConfiguration);
  env.addReporter(failurePrinter());
  env.addReporter(slowestReporter((line) => void printLine(line)));
  let counts: SpecCounts | undefined;
  env.addReporter(countingReporter((result) => (counts = result)));
  await env.execute();
  await report(counts!);
}

function failurePrinter(): jasmine.CustomReporter {
  const print = (name: string, {failedExpectations}: {failedExpectations: {message: string; stack: string}[]}) => {
    for (const {message, stack} of failedExpectations) void printLine(`FAILED ${name}\n  ${message}\n${stack}`);
  };
  return {
    specDone: (spec) => print(spec.fullName, spec),
    suiteDone: (suite) => print(suite.fullName, suite),
    jasmineDone: (run) => print('outside any spec', run),
  };
}

/**
 * Reads vitest's JSON report and prints `passed failed detail` for .ci/run; what failed or was skipped goes to stderr, by name.
 *
 * A skipped test fails the run, because nobody would notice that it no longer runs. The one excuse stands in its own name, and is
 * checked here: `[needs LETHE_TEST_EVENTSTORE]` is skipped rightly where that variable is not set, `[needs mount]` where this machine
 * can't mount (see MACHINE), and nowhere else.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const [file, exitCode] = process.argv.slice(2);

const isRoot = process.getuid?.() === 0;

/** What not every machine or user can do, by the name that stands in `[needs …]`. */
const MACHINE = {
  'ordinary-user': () => !isRoot,
  proc: () => existsSync('/proc/self/status'),
  mount: () =>
    spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'ignore' }).status === 0,
  'docker-compose': () => spawnSync('docker-compose', ['version'], { stdio: 'ignore' }).status === 0,
  chromium: () => existsSync('/usr/bin/chromium'),
  haproxy: () => spawnSync('haproxy', ['-v'], { stdio: 'ignore' }).status === 0,
  zsh: () => spawnSync('zsh', ['-c', ':'], { stdio: 'ignore' }).status === 0,
  fish: () => spawnSync('fish', ['-c', ':'], { stdio: 'ignore' }).status === 0,
};

const isThere = (need) => (need in MACHINE ? MACHINE[need]() : !/^[A-Z]/.test(need) || Boolean(process.env[need]));

/** What a skipped test names as its need and what is really missing here; undefined where it had no reason to be skipped. */
const excuse = (test) =>
  [...test.fullName.matchAll(/\[needs ([\w-]+)\]/g)].map(([, need]) => need).find((need) => !isThere(need));

const say = (line) => process.stderr.write(`${line}\n`);

const tally = (report) => {
  const tests = report.testResults.flatMap((suite) =>
    suite.assertionResults.map((test) => ({ ...test, file: suite.name })),
  );
  const having = (...statuses) => tests.filter((test) => statuses.includes(test.status));

  const failed = having('failed');
  // A file that breaks before its first test has no failed test to count.
  const broken = report.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  );
  const skipped = having('pending', 'skipped', 'todo', 'disabled').map((test) => ({ ...test, missing: excuse(test) }));
  const unexcused = skipped.filter((test) => test.missing === undefined);
  const excused = skipped.filter((test) => test.missing !== undefined);

  for (const test of failed) say(`failed: ${test.fullName} (${test.file})`);
  for (const suite of broken) say(`failed to run: ${suite.name}`);
  for (const test of unexcused) say(`skipped, and should have run: ${test.fullName} (${test.file})`);
  for (const test of excused) say(`skipped, for want of ${test.missing}: ${test.fullName}`);

  const counts = { files: report.testResults.length, tests: tests.length, skipped: skipped.length };
  return {
    passed: having('passed').length,
    failed: failed.length + broken.length + unexcused.length,
    details: Object.entries(counts).map(([name, count]) => `${name}: ${count}`),
  };
};

const result = existsSync(file) ? tally(JSON.parse(readFileSync(file, 'utf8'))) : { passed: 0, failed: 0, details: [] };

if (result.passed + result.failed === 0) {
  result.failed = 1;
  result.details.push('nothing ran');
} else if (Number(exitCode) !== 0 && result.failed === 0) {
  // An unhandled error, a crash or a timeout beside tests that all passed.
  result.failed = 1;
  result.details.push(`no test failed, yet it ended with exit code ${exitCode}`);
}

console.log(result.passed, result.failed, result.details.join(', '));

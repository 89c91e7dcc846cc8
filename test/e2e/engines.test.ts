/** A sample of `npm run test:engines`: otherwise, what a newer engine refuses would first show on users' hosts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInEngines } from '../engines/run.ts';

/** The tree of the newer Debian is downloaded the first time, ms. */
const TIMEOUT_MS = 15 * 60_000;

test(
  "a build starts in the engine of the next Debian, and its image goes over to containerd's store",
  { timeout: TIMEOUT_MS },
  async () => {
    const said: string[] = [];
    const files = ['agent/sandbox/transfer.machine.test.ts'];
    const choice = { suites: ['trixie'], stores: ['containerd'], files } as const;
    const [outcome] = await runInEngines(choice, (text) => void said.push(text));
    assert.ok(outcome);
    assert.equal(outcome.failed, 0, said.join('\n').slice(-5000));
    assert.ok(outcome.passed > 0);
    assert.ok(Number.parseInt(outcome.version, 10) >= 25, `engine ${outcome.version}`);
  },
);

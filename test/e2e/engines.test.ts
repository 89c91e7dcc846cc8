/** A sample of `npm run test:engines`: otherwise, what a newer engine refuses would first show on users' hosts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInEngines } from '../engines/run.ts';

/** The tree of the newer Debian is downloaded the first time, ms. */
const TIMEOUT_MS = 15 * 60_000;
/** The test of that file which builds an image and hands it over. */
const BUILD_AND_HAND_OVER = 'has the same content on both';

test(
  "the engine of the next Debian takes a build, and containerd's store takes its image",
  { timeout: TIMEOUT_MS },
  async () => {
    const said: string[] = [];
    const choice = {
      suites: ['trixie'],
      stores: ['containerd'],
      files: ['agent/sandbox/handoff/transfer.machine.test.ts'],
      kinds: ['debian'],
      tests: BUILD_AND_HAND_OVER,
    } as const;
    const [outcome] = await runInEngines(choice, (text) => void said.push(text));
    assert.ok(outcome);
    assert.equal(outcome.failed, 0, said.join('\n').slice(-5000));
    // A file of which no test is chosen passes as well.
    assert.match(said.join('\n'), new RegExp(`✔ ${BUILD_AND_HAND_OVER}`));
    assert.ok(Number.parseInt(outcome.version, 10) >= 25, `engine ${outcome.version}`);
  },
);

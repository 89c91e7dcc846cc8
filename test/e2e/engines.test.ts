/** A sample of `npm run test:engines`: what a newer engine refuses would be seen on users' hosts first otherwise. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { ROOT } from '../../installer/stack/stack.ts';
import { runProgram } from '../../installer/stack/run-program.ts';

const Outcome = z.object({
  engines: z.tuple([z.object({ version: z.string(), passed: z.number(), failed: z.number() })]),
});

/** The tree of the newer Debian is fetched the first time, ms. */
const TIMEOUT_MS = 15 * 60_000;

test(
  "a build starts in the engine of the next Debian, and its image goes over to containerd's store",
  { timeout: TIMEOUT_MS },
  async () => {
    const program = [process.execPath, join(ROOT, 'test/engines/main.ts')] as const;
    const choice = ['--suite', 'trixie', '--store', 'containerd', 'agent/sandbox/transfer'];
    const { code, stdout, stderr } = await runProgram([...program, ...choice], {
      // Else the runner inside takes itself for a part of this one.
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      timeoutMs: TIMEOUT_MS,
    });
    assert.equal(code, 0, stderr.slice(-5000));
    const [{ version, passed, failed }] = Outcome.parse(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).engines;
    assert.ok(Number.parseInt(version, 10) >= 25, `engine ${version}`);
    assert.deepEqual([passed > 0, failed], [true, 0]);
  },
);

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type { ErrorReport } from '../../protocol/errors.ts';
import { runOurs } from '../../test/harness/our-program.ts';
import { serveLocalApi } from '../local-api/server.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';

/** The command line, with an agent whose removals end at the second look, with this error if any. */
async function host(t: TestContext, error: ErrorReport | null = null) {
  const folder = temporaryFolder(t);
  const begun: string[] = [];
  let looks = 0;
  const api = await serveLocalApi(join(folder, 'agent.sock'), {
    status: async () => assert.fail('nobody asks for it'),
    agent: () => assert.fail('nobody asks for it'),
    environments: () => new Map(),
    removals: {
      begin: async (environmentId) => {
        begun.push(environmentId);
        return IDS.project;
      },
      status: () => ({ ended: (looks += 1) > 1, error }),
    },
  });
  t.after(() => api.close());
  const env = { ORKESTR_AGENT_STATE: join(folder, 'state'), ORKESTR_AGENT_RUN: folder };
  const agent = (...args: string[]) => runOurs('agent/main.ts', ['remove', ...args], env);
  return { agent, begun };
}

test('`orkestr-agent remove` has the running agent remove the environment and reports when it is done', async (t) => {
  const { agent, begun } = await host(t);
  const { code, stdout } = await agent(IDS.environment, '--yes');
  assert.deepEqual([code, stdout], [0, `Environment ${IDS.environment} was removed from this host.\n`]);
  assert.deepEqual(begun, [IDS.environment]);
});

test('`orkestr-agent remove` removes nothing without a confirmation or without a valid environment id', async (t) => {
  const { agent, begun } = await host(t);
  const [unasked, noId] = await Promise.all([agent(IDS.environment), agent('shop/production', '--yes')]);
  assert.match(unasked.stderr, /will be removed from this host\. Confirm with --yes\./);
  assert.match(noId.stderr, /^ORK_INVALID: shop\/production is not the id of an environment\.$/m);
  assert.deepEqual([unasked.code, noId.code, begun], [1, 1, []]);
});

test('`orkestr-agent remove` reports the reason of a failed removal', async (t) => {
  const { agent } = await host(t, { code: 'ORK_ENGINE_TIMEOUT', message: 'Docker hangs.', evidence: [] });
  const { code, stderr } = await agent(IDS.environment, '--yes');
  assert.equal(code, 1);
  assert.match(stderr, /^ORK_ENGINE_TIMEOUT: Docker hangs\.$/m);
});

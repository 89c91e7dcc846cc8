import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { LocalRemovals } from '../deployment/local-removals.ts';
import { askHttp } from '../lib/http-call.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';
import type { AgentView } from './agent-view.ts';
import { askAgent, askNames, askRemoval, askView, orderRemoval } from './client.ts';
import { serveLocalApi } from './server.ts';
import { ANSWER_MS } from './status-report.ts';

const agent: AgentView = {
  version: '1.2.3',
  hostId: IDS.host,
  pid: 42,
  since: new Date(0).toISOString(),
  hub: null,
  deployments: [{ deploymentId: IDS.project, environmentId: IDS.environment, state: 'running', step: 'build' }],
  recent: [],
  outbox: 3,
};

const removals: LocalRemovals = {
  begin: async () => assert.fail('nothing is to be removed'),
  status: () => assert.fail('nothing is to be removed'),
};

test('the local socket is open to its owner only and serves the report; a stale socket file blocks no new agent', async (t) => {
  const socketPath = join(temporaryFolder(t), 'agent.sock');
  assert.equal(await askAgent(socketPath), 'absent');
  assert.equal((await askNames(socketPath)).size, 0);
  writeFileSync(socketPath, '');
  const report = { level: 'ok', checks: {} } as const;
  const environments = new Map([[IDS.environment, 'shop/production']]);
  const api = await serveLocalApi(socketPath, {
    status: async () => report,
    agent: () => agent,
    environments: () => environments,
    removals,
  });
  assert.equal(statSync(socketPath).mode & 0o777, 0o600);
  assert.deepEqual(await askAgent(socketPath), report);
  assert.deepEqual(await askView(socketPath), agent);
  assert.deepEqual(await askNames(socketPath), environments);
  await api.close();
  assert.equal(await askAgent(socketPath), 'absent');
});

test('a removal is ordered and queried over the socket; refusals and an absent agent are reported as such', async (t) => {
  const socketPath = join(temporaryFolder(t), 'agent.sock');
  await assert.rejects(orderRemoval(socketPath, IDS.environment), { code: 'ORK_AGENT_UNREACHABLE' });
  const error = { code: 'ORK_ENGINE_TIMEOUT', message: 'Docker hangs.', evidence: ['a fact'] } satisfies ErrorReport;
  const served = { status: async () => assert.fail(), agent: () => agent, environments: () => new Map() };
  const api = await serveLocalApi(socketPath, {
    ...served,
    removals: {
      begin: async (environmentId) => {
        if (environmentId === IDS.environment) return IDS.project;
        throw new OrkestrError('ORK_NOT_FOUND', 'There is none.', { evidence: ['a fact'] });
      },
      status: (id) => ({ ended: id === IDS.project, error }),
    },
  });
  t.after(() => api.close());
  const removalId = await orderRemoval(socketPath, IDS.environment);
  assert.deepEqual(await askRemoval(socketPath, removalId), { ended: true, error });
  await assert.rejects(orderRemoval(socketPath, IDS.host), {
    code: 'ORK_NOT_FOUND',
    message: 'There is none.',
    evidence: ['a fact'],
  });
  await assert.rejects(orderRemoval(socketPath, 'no-id'), { code: 'ORK_AGENT_UNREACHABLE' });
});

test('a hanging agent is reported as silent, not as absent', async (t) => {
  const socketPath = join(temporaryFolder(t), 'agent.sock');
  const server = createServer(() => undefined).listen(socketPath);
  await once(server, 'listening');
  t.after(() => server.close());
  assert.equal(await askAgent(socketPath, 100), 'silent');
});

test('the caller decides how long to wait for what may not answer; the default is short', async (t) => {
  const socketPath = join(temporaryFolder(t), 'agent.sock');
  const waits: number[] = [];
  const api = await serveLocalApi(socketPath, {
    status: async (answerMs) => (waits.push(answerMs), { level: 'ok', checks: {} }),
    agent: () => agent,
    environments: () => new Map(),
    removals,
  });
  t.after(() => api.close());
  await askAgent(socketPath, 20_000);
  await askAgent(socketPath);
  await askHttp({ peer: { socketPath }, method: 'GET', path: '/v1/status', signal: AbortSignal.timeout(10_000) }, 1000);
  assert.deepEqual(waits, [20_000, ANSWER_MS, ANSWER_MS]);
});

/** For tests: the complete path from an event to the delivered message, with a full hub and real receivers. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { Job } from '../../protocol/job.ts';
import { until } from '../../test/harness/until.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import { MadeReceiver, Receiver } from '../api/schemas.ts';
import { startTestHub, type TestHub } from '../test-hub.ts';
import { AT, COMMIT } from '../test-release.ts';
import type { Message } from './notice.ts';
import { queueNotice } from './queue-notice.ts';
import { startReceiver, type TestReceiver } from './test-receiver.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const COLLECTED = 10_000;
export const env = { ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' };

interface Told {
  readonly on: TestHub;
  readonly receiver: TestReceiver;
  /** Delivered messages, without repetitions. */
  messages(this: void): Message[];
  /** Kinds of all delivered notices, in order. */
  kinds(this: void): string[];
  /** Lets time pass, and sends what is due then. */
  later(this: void, ms: number): Promise<void>;
}

export async function start(t: TestContext, stopped = false): Promise<Told> {
  const on = await startTestHub({ env });
  if (!stopped) t.after(() => on.stop());
  const receiver = await startReceiver(t);
  return { ...toldBy(on, receiver), on, receiver };
}

export function toldBy(on: TestHub, receiver: TestReceiver): Omit<Told, 'on' | 'receiver'> {
  const messages = (): Message[] => receiver.got.map(({ body }) => JSON.parse(body) as Message);
  return {
    messages,
    kinds: () => messages().flatMap(({ notices }) => notices.map(({ kind }) => kind)),
    async later(ms) {
      on.pass(ms);
      await on.deps.notifier.sweep();
    },
  };
}

export async function add(on: TestHub, path: string, body: object): Promise<MadeReceiver> {
  const answer = await on.api('POST', path, body);
  assert.equal(answer.status, 201, await answer.clone().text());
  return MadeReceiver.parse(await answer.json());
}

export const list = async (on: TestHub, path = '/projects/shop/receivers'): Promise<Receiver[]> =>
  Receiver.array().parse(await (await on.api('GET', path)).json());

export async function deploy(on: TestHub, agent: ScriptedAgent): Promise<Job> {
  await on.deps.scheduler.create({
    environmentId: on.environmentId,
    trigger: 'push',
    commit: COMMIT,
    branch: 'main',
    userId: null,
  });
  return agent.job();
}

export async function fail(agent: ScriptedAgent, { deploymentId, generation }: Job, error: Partial<ErrorReport> = {}) {
  const report: ErrorReport = {
    code: 'ORK_BUILD_FAILED',
    message: 'It ended with exit code 1.',
    evidence: [],
    ...error,
  };
  const step = { kind: 'step', deploymentId, step: 'build', status: 'failed', startedAt: AT, ms: 1 } as const;
  await agent.report({ ...step, error: report });
  await agent.report({ kind: 'deployment', deploymentId, generation, status: 'failed', at: AT, error: report });
}

/** An event that needs no agent. */
export const tellOf = (on: TestHub): Promise<void> =>
  queueNotice(
    on.deps.db,
    { teamId: on.account.teamId, projectIds: [] },
    {
      kind: 'host.back',
      at: on.deps.clock.now().toISOString(),
      summary: 'vps-1:\r\nthe \u001b[1mhost is back',
      path: '/hosts',
    },
  );

export async function leave(on: TestHub, agent: ScriptedAgent): Promise<void> {
  await agent.leave();
  await until(() => !on.deps.agents.isOnline(on.hostId));
}

import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { Job } from '../../protocol/job.ts';
import { until } from '../../test/harness/until.ts';
import { startTestHub } from '../test-hub.ts';
import type { ScriptedAgent } from '../agents/test-agent.ts';
import type { TestHub } from '../test-hub.ts';
import type { Trigger } from '../store/schema.ts';
import { LOST_MS, create, running } from './test-scheduler.ts';

type Act =
  | { readonly do: 'create'; readonly trigger: Trigger }
  | { readonly do: 'end'; readonly status: 'live' | 'failed' }
  | { readonly do: 'start' | 'leave' | 'return' | 'lose' }
  | { readonly do: 'cancel'; readonly which: number };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('create' as const), trigger: fc.constantFrom('push', 'manual') }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('end' as const), status: fc.constantFrom('live', 'failed') }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('start', 'leave', 'return', 'lose') }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(20) }) },
);

/** Model of a correct agent: runs one deployment at a time, deduplicates by id, keeps its journal while offline. */
class ModelHost {
  readonly known = new Set<string>();
  readonly #on: TestHub;
  agent: ScriptedAgent | undefined;
  current: Job | undefined;

  constructor(on: TestHub) {
    this.#on = on;
  }

  /** Accept jobs that are new; none may arrive while another one runs. */
  take(): void {
    for (const job of this.agent?.jobs ?? []) {
      if (this.known.has(job.deploymentId)) continue;
      assert.equal(this.current, undefined, 'two at once');
      this.known.add(job.deploymentId);
      this.current = job;
    }
  }

  async perform(step: Act, created: string[]): Promise<void> {
    if (step.do === 'create') created.push(await create(this.#on, step.trigger));
    else if (step.do === 'cancel') await this.#cancel(created[step.which]);
    else if (step.do === 'end') await this.#end(step.status);
    else if (step.do === 'start') await (this.current && this.agent?.report(running(this.current)));
    else if (step.do === 'leave') await this.#leave();
    else if (this.agent === undefined) await (step.do === 'return' ? this.#return() : this.#lose());
  }

  async #cancel(id: string | undefined): Promise<void> {
    if (id === undefined) return;
    await this.#on.deps.scheduler.cancel(id).catch((error: unknown) => {
      assert.match(String(error), /has ended already/);
    });
  }

  async #end(status: 'live' | 'failed'): Promise<void> {
    if (this.current === undefined || this.agent === undefined) return;
    if (status === 'live') await this.agent.live(this.current);
    else await this.agent.end(this.current, 'failed');
    this.current = undefined;
  }

  async #leave(): Promise<void> {
    await this.agent?.leave();
    this.agent = undefined;
    await until(() => !this.#on.deps.agents.isOnline(this.#on.hostId));
  }

  async #return(): Promise<void> {
    this.agent = await this.#on.connect({ running: this.current ? [this.current.deploymentId] : [] });
  }

  async #lose(): Promise<void> {
    this.#on.pass(LOST_MS);
    await this.#on.deps.scheduler.sweep();
  }

  /** Waits until all earlier messages of the hub have arrived: the acknowledgement comes after them. */
  async hear(): Promise<void> {
    if (this.agent === undefined) return;
    await this.agent.report({ kind: 'log', deploymentId: randomUUIDv7(), step: 'clone', offset: 0, data: 'eA==' });
    this.take();
  }
}

const generation = (rows: readonly { id: string; generation: number }[], id: string): number =>
  rows.find((row) => row.id === id)?.generation ?? 0;

const hasOpen = async (on: TestHub): Promise<boolean> =>
  (await on.deps.db.selectFrom('deployment').select('id').where('status', 'in', ['queued', 'running']).execute())
    .length > 0;

test('at any time one deployment is out, no manual one is skipped, at most one push waits, and all of them end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 25 }), async (acts) => {
      const on = await startTestHub();
      try {
        const host = new ModelHost(on);
        const created: string[] = [];
        for (const step of acts) {
          await host.perform(step, created);
          await host.hear();
          const open = await on.deps.db.selectFrom('deployment').selectAll().execute();
          const out = open.filter(({ status, sent_at }) => status === 'running' || (status === 'queued' && sent_at));
          assert.ok(out.length <= 1, 'one is out');
          const waiting = open.filter(
            ({ status, sent_at, trigger }) => status === 'queued' && !sent_at && trigger === 'push',
          );
          assert.ok(waiting.length <= 1, 'one push waits');
          assert.ok(open.every(({ trigger, status }) => trigger === 'push' || status !== 'skipped'));
        }
        // Drain: everything that was not skipped, cancelled or lost has run, in its order.
        await host.perform({ do: 'return' }, created);
        for (let n = 0; n <= created.length; n += 1) {
          await until(async () => {
            await host.hear();
            return host.current !== undefined || !(await hasOpen(on));
          });
          await host.perform({ do: 'end', status: 'live' }, created);
        }
        assert.equal(await hasOpen(on), false);
        const rows = await on.deps.db.selectFrom('deployment').selectAll().execute();
        for (const row of rows) {
          if (row.status === 'skipped') assert.ok(row.replaced_by);
          if (row.status === 'live') assert.ok(rows.every((other) => other === row || other.status !== 'live'));
        }
        assert.deepEqual(
          [...host.known],
          [...host.known].toSorted((a, b) => generation(rows, a) - generation(rows, b)),
        );
      } finally {
        await on.stop();
      }
    }),
    { numRuns: 25 },
  );
});

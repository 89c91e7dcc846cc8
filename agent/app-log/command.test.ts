import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import type { AppLogPart, AppLogRequest } from '../../protocol/app-log.ts';
import type { LiveRecord } from '../deployment/records.ts';
import { openServing } from '../journal/serving.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { openTestJournal } from '../deployment/test-bench.ts';
import { deployJob, IDS } from '../deployment/test-job.ts';
import { printAppLog } from './command.ts';
import type { AppLogFlags } from './command.ts';

const NEXT = '018f0000-0000-7000-8000-0000000000b1';

/** A host on which `shop/production` serves, and whose log reads return these parts. */
async function host(t: TestContext, parts: readonly AppLogPart[]) {
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  const job = deployJob();
  journal.accept(job);
  const live: LiveRecord = {
    environmentId: IDS.environment,
    projectId: IDS.project,
    deploymentId: job.deploymentId,
    entry: { id: IDS.environment, generation: 1, routes: [], targets: [] } as unknown as LiveRecord['entry'],
    healthCheck: null,
    release: null,
  };
  const serving = { ...journal, allLive: () => [live], live: () => live };
  t.after(() => journal.close());
  const asked: AppLogRequest[] = [];
  const print = async (flags: AppLogFlags, isTTY = false): Promise<string> => {
    const out = Object.assign(new PassThrough(), { isTTY });
    const waiting = [...parts];
    const appLogs = {
      open(request: AppLogRequest) {
        asked.push(request);
        return { next: async () => waiting.shift() ?? null, close: () => undefined };
      },
    };
    const printed = text(out);
    await printAppLog({ serving, appLogs, out, signal: new AbortController().signal }, flags);
    out.end();
    return printed;
  };
  return { folder, print, asked, job };
}

const part = (deploymentId: string, leftOut: number, ...texts: string[]): AppLogPart => ({
  deploymentId,
  leftOut,
  lines: texts.map((line) => ({ at: '2030-01-01T00:00:00.000000001Z', stream: 'stdout', text: line })),
});

test('the command finds an app by its name or its id and prints its log with the remarks of orkestr', async (t) => {
  const job = deployJob();
  const parts = [part(job.deploymentId, 0), part(job.deploymentId, 0, 'one'), part(NEXT, 0), part(NEXT, 3, 'two')];
  const on = await host(t, parts);
  const printed = await on.print({ app: 'shop/production', since: '10m', follow: true });
  assert.equal(
    printed,
    `one\n[orkestr: from here on deployment ${NEXT}]\n[orkestr: 3 lines left out: the reader was too slow]\ntwo\n`,
  );
  await on.print({ app: IDS.environment, tail: 3 });
  assert.deepEqual(on.asked, [
    { environmentId: IDS.environment, tail: 10_000, sinceSeconds: 600, follow: true, after: [] },
    { environmentId: IDS.environment, tail: 3, sinceSeconds: null, follow: false, after: [] },
  ]);
});

test('the command prints the time of each line on request', async (t) => {
  const on = await host(t, [part(deployJob().deploymentId, 0, 'one')]);
  assert.equal(await on.print({ app: 'shop/production', timestamps: true }), '2030-01-01T00:00:00.000000001Z one\n');
});

test('a terminal gets no escape sequences of an app except colours; a file or pipe gets the log unchanged', async (t) => {
  const line = '\u001b[31mred\u001b[0m\u001b]0;title\u0007\u001b[2J';
  const { deploymentId } = deployJob();
  const flags = { app: 'shop/production' };
  assert.equal(
    await (await host(t, [part(deploymentId, 0, line)])).print(flags, true),
    '\u001b[31mred\u001b[0m\u001b[0m\n',
  );
  assert.equal(await (await host(t, [part(deploymentId, 0, line)])).print(flags), `${line}\n`);
});

test('an unknown app name fails with an error that lists the live apps', async (t) => {
  const on = await host(t, []);
  await assert.rejects(on.print({ app: 'blog/production' }), {
    code: 'ORK_NOT_FOUND',
    evidence: ['Live here: shop/production'],
  });
});

test('the command reads the journal beside a running agent and sees its changes', async (t) => {
  assert.equal(await openServing(temporaryFolder(t)), null);
  const folder = temporaryFolder(t);
  const journal = await openTestJournal(folder);
  t.after(() => journal.close());
  const serving = (await openServing(folder)) ?? assert.fail();
  t.after(() => serving.close());
  const job = deployJob();
  assert.equal(serving.job(job.deploymentId), null);
  journal.accept(job);
  assert.equal(serving.job(job.deploymentId)?.kind, 'deploy');
  assert.deepEqual(serving.allLive(), []);
  assert.equal(serving.live(IDS.environment), null);
});

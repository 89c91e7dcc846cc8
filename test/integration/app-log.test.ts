/** Hub and agent over their real link, without Docker: an app that floods its log, and a reader that never reads. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { makeAppLogs } from '../../agent/app-log/app-logs.ts';
import type { ContainerState } from '../../agent/deployment/ports.ts';
import type { LogPiece, OpenContainerLog } from '../../agent/docker/container-log.ts';
import { systemClock } from '../../agent/lib/clock.ts';
import { temporaryFolder } from '../../agent/lib/test-folder.ts';
import { startTestHub } from '../../hub/test-hub.ts';
import { until } from '../harness/until.ts';
import { startLinkAgent } from './protocol/link-agent.ts';
import { fatesAre, makeStory } from './protocol/story.ts';

const LIVE = '018f0000-0000-7000-8000-0000000000a1';
const MIB = 1_048_576;
const FLOOD_MIB = 300;

test('a log flood costs a limited amount of memory, deployments continue, and the read ends with its reader', async (t) => {
  let written = 0;
  let open = 0;
  const line = Buffer.from(`${'x'.repeat(199)}\n`);
  /** Produces pieces for ever, as fast as they are consumed. */
  const flood: OpenContainerLog = async (_name, _request, signal) => {
    async function* pieces(): AsyncGenerator<readonly LogPiece[]> {
      open += 1;
      try {
        while (!signal.aborted) {
          const at = new Date(Date.now() + 1000).toISOString();
          yield Array.from({ length: 320 }, (): LogPiece => ({ at, stream: 'stdout', bytes: line }));
          written += 320 * line.length;
          await turn();
        }
      } finally {
        open -= 1;
      }
    }
    return pieces();
  };
  const hub = await startTestHub();
  t.after(() => hub.stop());
  const story = makeStory(hub);
  const agent = await startLinkAgent({
    folder: temporaryFolder(t),
    hubUrl: hub.url,
    joinToken: await story.joinToken(),
    appLogs: makeAppLogs({
      live: () => LIVE,
      secrets: async () => [],
      containers: { inspect: async () => ({ running: true, environmentId: hub.environmentId }) as ContainerState },
      openLog: flood,
      clock: systemClock,
    }),
  });
  t.after(() => agent.stop());
  await until(() => agent.state().connected);

  const stop = new AbortController();
  const answer = await fetch(`${hub.url}/api/v1/projects/shop/environments/production/app-log?follow=true`, {
    headers: { authorization: `Bearer ${hub.account.token}` },
    signal: stop.signal,
  });
  assert.equal(answer.status, 200);
  const before = process.memoryUsage().rss;
  await story.act('deploy');
  await fatesAre(story, 'live');
  await until(() => written > FLOOD_MIB * MIB);
  const grown = (process.memoryUsage().rss - before) / MIB;
  assert.ok(grown < FLOOD_MIB / 2, `${FLOOD_MIB} MiB were written, and hub and agent grew by ${grown}`);

  let text = '';
  for await (const part of answer.body ?? []) {
    text = (text + Buffer.from(part as Uint8Array).toString()).slice(-100_000);
    if (/^\[orkestr: [\d,]+ lines left out: the reader was too slow\]$/m.test(text)) break;
  }
  assert.match(text, /lines left out/);
  stop.abort();
  await until(() => open === 0);
});

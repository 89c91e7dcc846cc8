/** A hub restored from a backup, and a host that has carried on meanwhile. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startTestHub } from '../../hub/test-hub.ts';
import { until } from '../harness/until.ts';
import { makeBackup, restoreBackup } from '../../hub/backup/backup.ts';
import { prepareState } from '../../hub/state.ts';
import { temporaryFolder } from '../../agent/lib/test-folder.ts';
import { startLinkAgent } from './protocol/link-agent.ts';
import { fatesAre, makeStory } from './protocol/story.ts';

const NOW = new Date('2026-11-28T20:00:00Z');

test('hosts reconnect to a restored hub, report to it and receive deployments', async (t) => {
  const folder = temporaryFolder(t);
  const file = join(folder, 'hub.tar.gz');
  const before = await startTestHub();
  const { secretKey, hubKey } = prepareState(before.folder);
  for (const key of [secretKey, hubKey]) writeFileSync(key, 'a key');
  const story = makeStory(before);
  const agent = await startLinkAgent({
    folder: join(folder, 'agent'),
    hubUrl: before.url,
    joinToken: await story.joinToken(),
  });
  t.after(() => agent.stop());
  await story.act('deploy');
  await fatesAre(story, 'live');
  await makeBackup(before.folder, file, NOW);
  await story.act('deploy');
  await fatesAre(story, 'live', 'failed');
  await before.stop(true);

  await restoreBackup(before.folder, file, { replace: true, now: NOW });
  const restored = await startTestHub({ resume: before });
  t.after(() => restored.stop());
  const again = makeStory(restored);
  await fatesAre(again, 'live');
  await again.act('deploy');
  await again.act('deploy');
  // The host has already had generation 2; the waiting deployment keeps its place behind.
  await fatesAre(again, 'live', 'running', 'queued');
  await restored.deps.scheduler.cancel(await again.deploymentAt(3));
  await fatesAre(again, 'superseded', 'cancelled', 'live');
  await again.deploymentAt(4);
  await until(() => agent.waitingReports() === 0);
});

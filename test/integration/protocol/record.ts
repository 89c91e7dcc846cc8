/**
 * Records the protocol of the checked-out code: `node test/integration/protocol/record.ts VERSION FOLDER` writes a real
 * conversation of this hub and this agent, and the schemas of both. Run it before the version is raised. For the
 * version of an earlier commit, copy this folder into a worktree of that commit and run it there (docs/protocol.md).
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTestHub } from '../../../hub/test-hub.ts';
import { until } from '../../harness/until.ts';
import { TIME_THAT_PASSES_MS, toLines } from './conversation.ts';
import type { Act, Line } from './conversation.ts';
import { startLinkAgent } from './link-agent.ts';
import { startRelay } from './relay.ts';
import { schemasOfToday } from './schemas.ts';
import { fatesAre, makeStory } from './story.ts';

async function recordConversation(): Promise<Line[]> {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-record-'));
  const hub = await startTestHub();
  const relay = await startRelay(hub.url);
  const story = makeStory(hub);
  const agent = await startLinkAgent({ folder, hubUrl: relay.url, joinToken: await story.joinToken() });
  const settled = () => until(() => agent.waitingReports() === 0 && agent.state().connected);
  const act = async (what: Act): Promise<void> => {
    await settled();
    relay.lines.push({ act: what });
    await story.act(what);
    if (what === 'cut') relay.cut();
    if (what === 'time') agent.pass(TIME_THAT_PASSES_MS);
    if (what === 'replace') await agent.replace();
  };
  const heard = (type: string) => relay.lines.filter((line) => 'hub' in line && line.hub.type === type).length;

  await act('deploy');
  await fatesAre(story, 'live');
  await act('deploy');
  await fatesAre(story, 'live', 'failed');
  await act('upgrade');
  await until(async () => (await story.upgradeState()) === 'switching');
  await act('replace');
  await until(async () => (await story.upgradeState()) === 'healthy');
  await act('deploy');
  await fatesAre(story, 'live', 'failed', 'running');
  await until(async () => (await hub.deps.db.selectFrom('log_chunk').selectAll().execute()).length >= 3);
  await act('cut');
  await until(() => heard('welcome') === 3);
  await act('time');
  await until(() => heard('lease') === 1);
  await act('cancel');
  await fatesAre(story, 'live', 'failed', 'cancelled');
  await act('rollback');
  await fatesAre(story, 'superseded', 'failed', 'cancelled', 'live');
  await act('remove');
  await until(async () => (await hub.deps.db.selectFrom('removal').selectAll().execute()).length === 0);
  await settled();
  const { lines } = relay;
  await agent.stop();
  await relay.close();
  await hub.stop();
  rmSync(folder, { recursive: true });
  return lines;
}

if (import.meta.main) {
  const [version = '', root = ''] = process.argv.slice(2);
  if (!/^\d+$/.test(version) || root === '') throw new Error('Usage: record.ts VERSION FOLDER');
  const folder = join(root, `v${version}`);
  mkdirSync(folder, { recursive: true });
  const lines = await recordConversation();
  writeFileSync(join(folder, 'conversation.jsonl'), toLines(lines));
  writeFileSync(join(folder, 'schemas.jsonl'), toLines(schemasOfToday()));
  process.stdout.write(`${lines.length} lines in ${folder}\n`);
}

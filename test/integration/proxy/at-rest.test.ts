/** The proxy as a separate process, without visitors but one at its start (docs/performance.md, at rest). */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { proxyArgv } from '../../../installer/stack/stack.ts';
import { eventually, temporaryFolder } from './harness.ts';
import { environment } from './proxy-process.ts';

/** Time for the start and for the checks that detect the first rest. */
const SETTLE_MS = 3000;
const WATCH_MS = 5000;
/** On a machine under load the start takes longer. */
const MOST_LOOKS = 5;
/** protocol/service/tidy.ts looks every 5 s. */
const MAX_WAKES_PER_SECOND = 0.5;

/** How often the main thread went to sleep. */
const sleepsOf = (pid: number): number =>
  Number(/^voluntary_ctxt_switches:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/task/${pid}/status`, 'utf8'))?.[1]);

test('an idle proxy compiles no hot code, and its time limits do not wake it up', async (t) => {
  const [node, ...operands] = proxyArgv();
  const child = spawn(node, ['--trace-opt', ...operands, 'serve'], { env: environment(await temporaryFolder(t)) });
  t.after(() => child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += String(text)));
  await eventually(`the listening line in ${output}`, () => output.includes('"msg":"listening"'));
  // Such a visitor is soon there on every address. The general engine answers, and it closes the connection.
  const port = /"url":"http:\/\/127.0.0.1:(\d+)"/.exec(output)?.[1] ?? '';
  const visit = get({ port, host: '127.0.0.1', headers: { host: 'unknown.test', connection: 'close' } });
  const [answer] = (await once(visit, 'response')) as [IncomingMessage];
  assert.equal(answer.statusCode, 404);
  answer.resume();
  const pid = child.pid ?? 0;
  let perSecond = Number.POSITIVE_INFINITY;
  for (let looks = 0; perSecond > MAX_WAKES_PER_SECOND && looks < MOST_LOOKS; looks += 1) {
    await sleep(SETTLE_MS);
    const before = sleepsOf(pid);
    await sleep(WATCH_MS);
    perSecond = (sleepsOf(pid) - before) / (WATCH_MS / 1000);
  }
  assert.ok(perSecond <= MAX_WAKES_PER_SECOND, `${perSecond} times a second`);
  // The compilers are 7 MB of node's binary, which stay in memory once they have run.
  assert.doesNotMatch(output, /completed compiling/);
});

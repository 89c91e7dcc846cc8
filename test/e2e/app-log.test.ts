/** An app's output, from a real engine through agent and hub to its reader. One story in the order of its tests. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { AppLogEvent } from '../../hub/api/schemas.ts';
import { API_PREFIX } from '../../hub/api/paths.ts';
import { followEvents, readEvent } from '../../hub/cli/events.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { ProcessName, Stack } from '../harness/stack.ts';
import { until } from '../harness/until.ts';

const PATH = '/projects/app/environments/production/app-log';
const KIB_PER_MIB = 1024;
/** Most that the hub or the agent may grow while an app writes as fast as Docker takes it, for five seconds. */
const MOST_GROWN_MIB = 150;
/** Written to /proc/PID/clear_refs: the peak of what is resident begins anew (proc_pid_clear_refs(5)). */
const RESET_PEAK = '5';

/** Prints a counter, fifty lines per second, and on request floods its log or ends. */
const app = (version: number): string => `
  import { createServer } from 'node:http';
  let n = 0;
  const say = () => console.log('v${version} ' + n++);
  say();
  setInterval(say, 20);
  const line = ('x'.repeat(199) + '\\n').repeat(500);
  const flood = (until) => {
    if (Date.now() < until) process.stdout.write('flood ' + line, () => flood(until));
  };
  createServer((request, response) => {
    if (request.url === '/flood') flood(Date.now() + 5000);
    response.end('v${version}');
    if (request.url === '/crash') { console.error('v${version} crashes'); setTimeout(() => process.exit(3), 50); }
  }).listen(process.env.PORT, '0.0.0.0');
  process.on('SIGTERM', () => { console.log('v${version} ends at ' + n); process.exit(0); });
`;

let stack: Stack;
let project: TestProject;

before(async () => {
  stack = await startStack();
  const manifest = { name: 'app', private: true, type: 'module', scripts: { start: 'node server.js' } };
  const files = { 'package.json': JSON.stringify(manifest), 'server.js': app(1) };
  project = await stack.createProject(files, { variables: { TOKEN: 'swordfish-1' } });
});
after(() => stack?.stop());

const read = (query = '') =>
  request(`${stack.hubUrl}${API_PREFIX}${PATH}${query}`, { headers: { authorization: `Bearer ${stack.token}` } });

async function problemOf(query = ''): Promise<string> {
  const answer = await read(query);
  return `${answer.statusCode} ${((await answer.body.json()) as { code: string }).code}`;
}

/** Follows the log like the CLI. */
function follow(): { lines: string[]; versions: string[]; stop: () => Promise<void> } {
  const over = new AbortController();
  const [lines, versions]: [string[], string[]] = [[], []];
  const events = followEvents<AppLogEvent>(
    stack.client,
    {
      path: PATH,
      query: { follow: 'true', tail: 1 },
      read: (data) => readEvent(AppLogEvent, data),
      isEnd: () => false,
      isNews: () => true,
    },
    { signal: over.signal },
  );
  const reading = (async () => {
    for await (const event of events) {
      if (event.kind === 'lines') lines.push(...event.lines.map(({ text }) => text));
      else if (event.kind === 'version') versions.push(event.deployment);
      else assert.fail(JSON.stringify(event));
    }
  })();
  return {
    lines,
    versions,
    async stop() {
      over.abort();
      await reading;
    },
  };
}

/** The numbers that a version has printed, in the order in which they were read. */
const counted = (lines: readonly string[], version: number): number[] =>
  lines.flatMap((line) => new RegExp(`^v${version} (\\d+)$`).exec(line)?.slice(1).map(Number) ?? []);

function assertWhole(numbers: readonly number[], from = numbers[0]): void {
  assert.deepEqual(
    numbers,
    numbers.map((_, n) => Number(from) + n),
    'No line is lost, none comes twice.',
  );
}

/** A file of a process of ours below /proc. */
const procFile = (name: ProcessName, file: string): string => `/proc/${stack.service(name).identity.pid}/${file}`;

/** The most memory that it had resident, MiB. */
const peakMiB = (name: ProcessName): number =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(procFile(name, 'status'), 'utf8'))?.[1]) / KIB_PER_MIB;

/** Lets the peak begin anew. @returns what is resident now, MiB */
function resetPeak(name: ProcessName): number {
  writeFileSync(procFile(name, 'clear_refs'), RESET_PEAK);
  return peakMiB(name);
}

test('the log of an app that was never live is refused', async () => {
  assert.equal(await problemOf(), '409 ORK_APP_NOT_LIVE');
});

test('a follower loses no line over a deployment and a crash, and learns which version writes', async () => {
  const first = await project.goesLive();
  const reader = follow();
  await until(() => counted(reader.lines, 1).length > 20, 'the first version is read');
  const second = await project.goesLive({ 'server.js': app(2) });
  await until(() => reader.lines.some((line) => line.startsWith('v1 ends at')), 'the old version is read to its end');
  await until(() => counted(reader.lines, 2).length > 20, 'the new version is read');
  const old = counted(reader.lines, 1);
  assertWhole(old);
  const last = /^v1 ends at (\d+)$/m.exec(reader.lines.join('\n'))?.[1];
  assert.equal(old.at(-1), Number(last) - 1);
  assertWhole(counted(reader.lines, 2), 0);
  assert.deepEqual(reader.versions, [first.id, second.id]);

  await project.get('/crash');
  await until(() => counted(reader.lines, 2).filter((n) => n === 5).length === 2, 'it is read after its restart');
  const all = counted(reader.lines, 2);
  const again = all.lastIndexOf(0);
  assertWhole(all.slice(0, again), 0);
  assertWhole(all.slice(again), 0);
  assert.equal(reader.lines.filter((line) => line === 'v2 crashes').length, 1);
  await reader.stop();
});

test('a flood with a slow reader costs agent and hub little memory, and a deployment goes live meanwhile', async (t) => {
  const before = { hub: resetPeak('hub'), agent: resetPeak('agent') };
  const answer = await read('?follow=true&tail=0');
  let text = '';
  let isSlow = true;
  // A few lines per second: a reader that takes nothing at all is dropped.
  const reading = (async () => {
    for await (const part of answer.body as AsyncIterable<Buffer>) {
      text += part.toString();
      if (isSlow) await sleep(1000);
    }
  })().catch((error: unknown) => assert.ok(answer.body.destroyed, String(error)));
  await project.get('/flood');
  await project.goesLive({ 'server.js': app(3) });
  for (const name of ['hub', 'agent'] as const) {
    const grown = Math.round(peakMiB(name) - before[name]);
    t.diagnostic(`${name} grew by ${grown} MiB`);
    assert.ok(grown < MOST_GROWN_MIB, `${name} grew by ${grown} MiB`);
  }
  isSlow = false;
  await until(() => /^v3 \d+$/m.test(text), 'the newest version is read');
  answer.body.destroy();
  await reading;
  assert.match(text, /^\[orkestr: [\d,]+ lines left out: the reader was too slow\]$/m);
});

test('a host serves eight reads at once, and a reader that leaves ends its read', async () => {
  const readers = [];
  for (let n = 0; n < 8; n += 1) readers.push(await read('?follow=true'));
  assert.equal(await problemOf(), '429 ORK_TOO_MANY_REQUESTS');
  for (const { body } of readers) body.on('error', () => undefined).destroy();
  await until(async () => {
    const { statusCode, body } = await read();
    await body.dump();
    return statusCode === 200;
  }, 'it reads again');
});

test('`orkestr-agent logs` on the host needs neither hub nor agent', async () => {
  const cli = (): Promise<{ stdout: string; stderr: string }> =>
    stack.agentCli('logs', '--app', 'app/production', '--tail', '5');
  assert.match((await cli()).stdout, /^(?:v3 \d+\n){5}$/);
  await stack.kill('agent');
  assert.match((await cli()).stdout, /^(?:v3 \d+\n){5}$/);
  assert.match((await stack.agentCli('logs', '--app', 'shop/production')).stderr, /Live here: app\/production/);
  await until(async () => (await problemOf()) === '503 ORK_HOST_OFFLINE');
});

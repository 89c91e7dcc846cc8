import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AppLogEvent, Deployment } from '../../api/schemas.ts';
import {
  AT,
  DEPLOYMENTS,
  EVENTS,
  IDS,
  SHOP,
  liveEvents,
  logEvent,
  sampleDeployment,
  statusEvent,
} from '../test-answers.ts';
import { refuse, stream, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('deployments list and show print a table of deployments and the steps of one', async () => {
  const list = await run(['deployments', 'list', '--limit', '5', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment({ status: 'live', finishedAt: '2030-01-01T00:00:15.500Z' })],
  });
  assert.match(list.stdout, /^STATUS +COMMIT +TRIGGER +AGE +TOOK +ID\nlive +aaaaaaa +manual +just now +15\.5 s +0189/);
  assert.equal(cli.hub?.asked[0]?.query, '?limit=5');
  const step = liveEvents[2];
  assert.ok(step?.kind === 'step');
  const detail = { ...sampleDeployment({ status: 'live' }), steps: [step.step], release: null };
  const show = await run(['deployments', 'show', IDS.deployment], {
    [`GET /deployments/${IDS.deployment}`]: () => detail,
  });
  assert.match(show.stdout, /clone +done +412 ms +aaaaaaa Add greeting/);
});

test('logs prints the log of the newest deployment unchanged; with --json as one object', async () => {
  const log: Script = ({ query }, response) =>
    void response
      .writeHead(200, { 'content-type': 'text/plain' })
      .end(query === '?step=build' ? 'a\r\u001b[31mb\u001b[0m\n' : 'all');
  const routes = {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment()],
    [`GET /deployments/${IDS.deployment}/logs`]: log,
  };
  const plain = await run(['logs', '--step', 'build', ...SHOP], routes);
  assert.deepEqual([plain.code, plain.stdout], [0, 'a\r\u001b[31mb\u001b[0m\n']);
  const json = await run(['logs', IDS.deployment, '--json'], routes);
  assert.deepEqual(JSON.parse(json.stdout), { deployment: IDS.deployment, step: null, text: 'all' });
  assert.equal((await cli.home.run(['logs', '--step', 'nonsense', ...SHOP])).code, 2);
});

test('logs --follow prints only log lines, and its exit code follows the result', async () => {
  const result = await run(['logs', IDS.deployment, '--follow', '--step', 'build'], { [EVENTS]: stream(liveEvents) });
  assert.deepEqual([result.code, result.stdout], [0, 'step 1\n100%\nlast\n']);
  const json = await run(['logs', IDS.deployment, '--follow', '--json'], { [EVENTS]: stream(liveEvents) });
  assert.deepEqual(
    json.stdout
      .trimEnd()
      .split('\n')
      .map((line): unknown => JSON.parse(line).kind),
    ['log', 'log'],
  );
});

test("logs prints on stderr why a deployment failed and a remedy, without the app's control sequences", async () => {
  const error = {
    code: 'ORK_APP_EXITED' as const,
    message: 'Its last line: \u001b[2J\u001b[31mno database\u001b[0m',
    evidence: ['\u001b]0;title\u0007no database'],
  };
  const failed = sampleDeployment({ status: 'failed', error });
  const events = stream([statusEvent(failed), logEvent('health', 0, 'line\n'), { kind: 'end', status: 'failed' }]);
  const followed = await run(['logs', IDS.deployment, '--follow'], { [EVENTS]: events });
  assert.deepEqual([followed.code, followed.stdout], [1, 'line\n']);
  const whole = await run(['logs', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [failed],
    [`GET /deployments/${IDS.deployment}/logs`]: (_asked, response) => void response.writeHead(200).end('line\n'),
  });
  assert.deepEqual([whole.code, whole.stdout], [0, 'line\n']);
  const named = await run(['logs', IDS.deployment], {
    [`GET /deployments/${IDS.deployment}`]: () => failed,
    [`GET /deployments/${IDS.deployment}/logs`]: (_asked, response) => void response.writeHead(200).end('line\n'),
  });
  assert.deepEqual([named.code, named.stdout], [0, 'line\n']);
  for (const { stderr } of [followed, whole, named]) {
    assert.match(
      stderr,
      /^ORK_APP_EXITED {2}Its last line: no database\n {2}│ no database\nWhat to do: The app exited/m,
    );
  }
});

test('logs prints on stderr what a deployment waits for, and how one without a log ended', async () => {
  const queued = { status: 'queued', startedAt: null } as const;
  const waiting = sampleDeployment({ ...queued, waitingFor: 'the host vps-1, which is offline' });
  const told: [Deployment, RegExp][] = [
    [waiting, /^Queued: waiting for the host vps-1, which is offline\.\n$/],
    [sampleDeployment(queued), /^Queued: it has not started yet\.\n$/],
    [sampleDeployment({ waitingFor: 'the host vps-1, which is offline' }), /^Running: waiting for the host vps-1/],
    [sampleDeployment({ status: 'cancelled', finishedAt: AT }), /^\nCancelled after 0 ms\.\n$/],
    [
      sampleDeployment({ status: 'skipped', replacedBy: IDS.older }),
      /^\nSkipped: a newer deployment replaced it \(0189/,
    ],
  ];
  for (const [deployment, says] of told) {
    const result = await run(['logs', ...SHOP], {
      [`GET ${DEPLOYMENTS}`]: () => [deployment],
      [`GET /deployments/${IDS.deployment}/logs`]: (_asked, response) => void response.writeHead(200).end(''),
    });
    assert.deepEqual([result.code, result.stdout], [0, '']);
    assert.match(result.stderr, says);
  }
  const events = stream([statusEvent(waiting), ...liveEvents]);
  const followed = await run(['logs', IDS.deployment, '--follow', '--step', 'build'], { [EVENTS]: events });
  assert.equal(followed.stdout, 'step 1\n100%\nlast\n');
  assert.match(followed.stderr, /^Queued: waiting for the host vps-1, which is offline\.\n/);
});

const APP_LOG = 'GET /projects/shop/environments/production/app-log';
const FOLLOW_SHOP = ['logs', '--app', '--follow', ...SHOP];

/** Events of an app log from line `from` on; the id of each event is the number of its last line. */
const appLog = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, n): AppLogEvent => {
    const at = `2030-01-01T00:00:00.00000000${from + n}Z`;
    return { kind: 'lines', deployment: IDS.deployment, lines: [{ at, stream: 'stdout', text: `line ${from + n}` }] };
  })
    .map((event, n) => `id: ${from + n}\ndata: ${JSON.stringify(event)}\n\n`)
    .join('');
const appLogEnd = (error: AppLogEvent & { kind: 'end' } = { kind: 'end', error: null }): string =>
  `data: ${JSON.stringify(error)}\n\n`;
const EVENT_STREAM = { 'content-type': 'text/event-stream' };

test("logs --app prints the app's output, with --json one object per line; its options need --app", async () => {
  const script: Script = (_asked, response) =>
    void response.writeHead(200, EVENT_STREAM).end(appLog(1, 2) + appLogEnd());
  const plain = await run(['logs', '--app', '--tail', '7', '--since', '10m', ...SHOP], { [APP_LOG]: script });
  assert.deepEqual([plain.code, plain.stdout, plain.stderr], [0, 'line 1\nline 2\n', '']);
  assert.equal(cli.hub?.asked[0]?.query, '?follow=false&tail=7&since=10m');
  const stamped = await run(['logs', '--app', '--timestamps', ...SHOP], { [APP_LOG]: script });
  assert.equal(stamped.stdout, '2030-01-01T00:00:00.000000001Z line 1\n2030-01-01T00:00:00.000000002Z line 2\n');
  const json = await run(['logs', '--app', '--json', ...SHOP], { [APP_LOG]: script });
  assert.deepEqual(JSON.parse(json.stdout.split('\n')[1] ?? ''), {
    at: '2030-01-01T00:00:00.000000002Z',
    deployment: IDS.deployment,
    stream: 'stdout',
    text: 'line 2',
  });
  for (const wrong of [
    ['--app', IDS.deployment],
    ['--app', '--step', 'build'],
    ['--tail', '5'],
    ['--since', '5m'],
    ['--timestamps'],
  ]) {
    assert.equal((await cli.home.run(['logs', ...wrong, ...SHOP])).code, 2, wrong.join(' '));
  }
});

test('logs --app --follow resumes after an interruption without duplicate lines, and Ctrl-C ends it', async () => {
  let turn = 0;
  const offline = { code: 'ORK_HOST_OFFLINE' as const, message: 'The connection to the host was lost.', evidence: [] };
  const script: Script = ({ headers }, response) => {
    turn += 1;
    const after = Number(headers['last-event-id'] ?? 0);
    response.writeHead(200, EVENT_STREAM);
    if (turn === 1) response.write(appLog(1, 2), () => response.destroy());
    else if (turn === 2) response.end(appLog(after + 1, 4) + appLogEnd({ kind: 'end', error: offline }));
    else response.write(appLog(after + 1, 5));
  };
  const result = await run(FOLLOW_SHOP, { [APP_LOG]: script }, { interruptAt: 'line 5' });
  assert.deepEqual([result.code, result.stdout], [130, 'line 1\nline 2\nline 3\nline 4\nline 5\n']);
  assert.match(result.stderr, /does not answer\. Trying again …\nThe connection to the host was lost\. Trying again …/);
});

test('logs --app says why there is no log, and does not retry', async () => {
  const refused = await run(FOLLOW_SHOP, { [APP_LOG]: refuse('ORK_APP_NOT_LIVE', 'Nothing serves there.') });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /Nothing serves there\.\nDeploy it\. If/);
  const offline = await run(['logs', '--app', ...SHOP], { [APP_LOG]: refuse('ORK_HOST_OFFLINE', 'It is away.') });
  assert.equal(offline.code, 1);
  assert.equal(cli.hub?.asked.length, 1);
});

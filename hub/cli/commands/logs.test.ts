import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DEPLOYMENTS,
  EVENTS,
  IDS,
  SHOP,
  liveEvents,
  logEvent,
  sampleDeployment,
  statusEvent,
} from '../test-answers.ts';
import { stream, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('deployments list and show', async () => {
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

test('logs prints the newest deployment’s log as it is; --json as one object', async () => {
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

test('logs --follow prints log lines alone and exits with the fate', async () => {
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

test('logs tells on stderr why a deployment failed, and what to do; of an app nothing but its words', async () => {
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
  for (const { stderr } of [followed, whole]) {
    assert.match(
      stderr,
      /^ORK_APP_EXITED {2}Its last line: no database\n {2}│ no database\nWhat to do: The app ended/m,
    );
  }
});

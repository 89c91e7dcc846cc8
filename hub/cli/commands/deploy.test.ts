import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deployment } from '../../api/schemas.ts';
import {
  DEPLOYMENTS,
  ENVIRONMENT,
  EVENTS,
  IDS,
  SHOP,
  environment,
  liveEvents,
  sampleDeployment,
  statusEvent,
  stepEvent,
} from '../test-answers.ts';
import { eventStream, refuse, stream, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('deploy streams steps with times and log lines, ends with the URL and exits 0 when live', async () => {
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment({ status: 'queued' }),
    [EVENTS]: stream(liveEvents),
  });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.deepEqual(result.stdout.split('\n').slice(2), [
    '▸ clone',
    '✓ clone          412 ms  aaaaaaa Add greeting',
    '▸ build',
    '  │ step 1',
    '  │ 100%',
    '  │ last',
    '✓ build          12.3 s',
    '',
    'Live after 15.5 s',
    '  http://shop.localhost:8080/',
    '',
  ]);
});

test('deploy --json prints one event per line and nothing else', async () => {
  const result = await run(['deploy', '--json', '--commit', 'a'.repeat(40), ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: stream(liveEvents),
  });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  const events = result.stdout
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));
  assert.deepEqual(events, JSON.parse(JSON.stringify(liveEvents)));
  assert.deepEqual(cli.hub?.asked[0]?.body, { commit: 'a'.repeat(40) });
});

test('a failed deployment exits 1 with its code, its evidence and a remedy', async () => {
  const error = {
    code: 'ORK_PORT_LOOPBACK' as const,
    message: 'The app listens on 127.0.0.1:3000 only.',
    evidence: ['127.0.0.1:3000'],
  };
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: stream([
      stepEvent({ name: 'health', status: 'failed', ms: 60_000, error }),
      statusEvent({ status: 'failed', error }),
      { kind: 'end', status: 'failed' },
    ]),
  });
  assert.equal(result.code, 1);
  assert.match(result.stdout, /✗ health/);
  assert.match(result.stdout, /The previous version keeps serving/);
  assert.match(
    result.stdout,
    /ORK_PORT_LOOPBACK {2}The app listens on 127\.0\.0\.1:3000 only\.\n {2}│ 127\.0\.0\.1:3000/,
  );
  assert.match(result.stdout, /What to do: The app listens on loopback only\. Make it bind to 0\.0\.0\.0\./);
});

test('when the host is lost, the CLI does not claim that the previous version keeps serving', async () => {
  const error = {
    code: 'ORK_HOST_LOST' as const,
    message: 'The state of the deployment there is unknown.',
    evidence: [],
  };
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: stream([statusEvent({ status: 'failed', error }), { kind: 'end', status: 'failed' }]),
  });
  assert.equal(result.code, 1);
  assert.match(result.stdout, /ORK_HOST_LOST/);
  assert.doesNotMatch(result.stdout, /keeps serving/);
});

for (const [status, code] of [
  ['cancelled', 3],
  ['skipped', 3],
  ['superseded', 0],
] as const) {
  test(`a deployment that ends as ${status} exits ${code}`, async () => {
    const result = await run(['deploy', ...SHOP], {
      [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
      [EVENTS]: stream([statusEvent({ status }), { kind: 'end', status }]),
    });
    assert.equal(result.code, code);
  });
}

test('a short interruption of the hub connection does not end deploy', async () => {
  let turn = 0;
  const result = await run(['deploy', ...SHOP], {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: ({ headers }, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      turn += 1;
      if (turn === 1) response.write(eventStream(liveEvents.slice(0, 5)), () => response.destroy());
      else response.end(eventStream(liveEvents.slice(Number(headers['last-event-id'])), 6));
    },
  });
  assert.equal(result.code, 0);
  assert.equal(result.stderr.match(/Trying again/g)?.length, 1);
  assert.equal(result.stdout.match(/│ step 1/g)?.length, 1);
  assert.match(result.stdout, /│ 100%/);
});

test('a deployment that cannot be followed is reported as continuing', async () => {
  const routes = {
    [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
    [EVENTS]: refuse('ORK_UNAUTHENTICATED', 'The token was revoked.'),
  };
  const goesOn = new RegExp(`The deployment continues\\. Follow it again: orkestr logs ${IDS.deployment} --follow`);
  const result = await run(['deploy', ...SHOP], routes);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /^orkestr: The token was revoked\./);
  assert.match(result.stderr, goesOn);
  assert.match((await run(['deploy', '--json', ...SHOP], routes)).stdout, goesOn);
  assert.doesNotMatch((await run(['logs', IDS.deployment, '--follow'], routes)).stderr, /continues/);
});

test('Ctrl-C detaches: the deployment continues, and the CLI prints how to follow or cancel it', async () => {
  const result = await run(
    ['deploy', ...SHOP],
    {
      [`POST ${DEPLOYMENTS}`]: () => sampleDeployment(),
      [EVENTS]: (_asked, response) =>
        void response
          .writeHead(200, { 'content-type': 'text/event-stream' })
          .write(eventStream(liveEvents.slice(0, 5))),
    },
    { interruptAt: '│ step 1' },
  );
  assert.equal(result.code, 130);
  assert.match(result.stderr, new RegExp(`orkestr logs ${IDS.deployment} --follow`));
  assert.match(result.stderr, new RegExp(`orkestr cancel ${IDS.deployment}`));
  assert.deepEqual(
    cli.hub?.asked.map(({ route }) => route),
    [`POST ${DEPLOYMENTS}`, EVENTS],
  );
});

test('deploy --detach does not follow', async () => {
  const made = sampleDeployment({ status: 'queued' });
  const result = await run(['deploy', '--detach', '--json', ...SHOP], { [`POST ${DEPLOYMENTS}`]: () => made });
  assert.deepEqual([result.code, JSON.parse(result.stdout)], [0, made]);
});

test('rollback goes to the previous release unless another is named', async () => {
  // More than a page of failures before the live deployment.
  const failed = Array.from({ length: 100 }, () => sampleDeployment({ status: 'failed' }));
  const list: Script = ({ query }) =>
    new URLSearchParams(query).get('before') === IDS.host
      ? failed
      : [sampleDeployment({ status: 'failed' }), sampleDeployment({ id: IDS.older, status: 'superseded' })];
  const made = sampleDeployment({ kind: 'rollback' });
  const routes = {
    [`GET ${ENVIRONMENT}`]: () => ({ ...environment, liveDeploymentId: IDS.host }),
    [`GET /deployments/${IDS.host}`]: () => sampleDeployment({ id: IDS.host, status: 'live' }),
    [`GET ${DEPLOYMENTS}`]: list,
    [`POST /deployments/${IDS.older}/rollback`]: () => made,
  };
  const result = await run(['rollback', '--detach', '--variables', 'release', ...SHOP], routes);
  assert.equal(result.code, 0);
  assert.deepEqual(cli.hub?.asked.at(-1)?.body, { variables: 'release' });
  assert.match(result.stderr, /Back to aaaaaaa/);
  const pages = cli.hub?.asked.flatMap(({ route, query }) => (route === `GET ${DEPLOYMENTS}` ? [query] : []));
  assert.deepEqual(pages, [`?limit=100&before=${IDS.host}`, `?limit=100&before=${IDS.deployment}`]);
  assert.equal((await cli.home.run(['rollback', '--variables', 'none', ...SHOP])).code, 2);
});

test('rollback from a redeployed or rolled-back-to release goes to the release before its first deployment', async () => {
  const released = (id: string, releaseOf: string | null): Deployment =>
    sampleDeployment({ id, releaseOf, status: 'superseded' });
  const [live, newer, again, first, oldest] = [IDS.host, IDS.environment, IDS.project, IDS.deployment, IDS.older];
  const result = await run(['rollback', '--detach', ...SHOP], {
    [`GET ${ENVIRONMENT}`]: () => ({ ...environment, liveDeploymentId: live }),
    [`GET /deployments/${live}`]: () => sampleDeployment({ id: live, status: 'live', releaseOf: again }),
    [`GET ${DEPLOYMENTS}`]: () => [
      released(newer, null),
      released(again, first),
      released(first, null),
      released(oldest, null),
    ],
    [`POST /deployments/${oldest}/rollback`]: () => sampleDeployment({ kind: 'rollback' }),
  });
  assert.equal(result.code, 0, result.stderr);
});

test('deploy --again deploys the live release, and fails where none is live', async () => {
  const made = sampleDeployment({ kind: 'rollback' });
  const routes = {
    [`GET ${ENVIRONMENT}`]: () => ({ ...environment, liveDeploymentId: IDS.older }),
    [`POST /deployments/${IDS.older}/rollback`]: () => made,
  };
  const result = await run(['deploy', '--again', '--detach', ...SHOP], routes);
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(cli.hub?.asked.at(-1)?.body, { variables: 'current' });
  assert.equal((await cli.home.run(['deploy', '--again', '--commit', 'a'.repeat(40), ...SHOP])).code, 2);
  const nothing = await run(['deploy', '--again', '--json', ...SHOP], { [`GET ${ENVIRONMENT}`]: () => environment });
  assert.deepEqual([nothing.code, JSON.parse(nothing.stdout).code], [1, 'ORK_NOT_FOUND']);
});

test('a rollback that the plan does not allow is reported with its code', async () => {
  const result = await run(['rollback', IDS.older, '--json'], {
    [`POST /deployments/${IDS.older}/rollback`]: refuse('ORK_PLAN_LIMIT', 'The plan Free has no rollbacks.'),
  });
  assert.deepEqual([result.code, JSON.parse(result.stdout).code], [1, 'ORK_PLAN_LIMIT']);
});

test('cancel takes the deployment in progress, and says so when there is none', async () => {
  const cancelled = sampleDeployment({ status: 'cancelled' });
  const path = `POST /deployments/${IDS.deployment}/cancel`;
  const result = await run(['cancel', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [sampleDeployment()],
    [path]: () => cancelled,
  });
  assert.equal(result.code, 0);
  const none = await run(['cancel', '--json', ...SHOP], { [`GET ${DEPLOYMENTS}`]: () => [cancelled] });
  assert.deepEqual([none.code, JSON.parse(none.stdout).code], [1, 'ORK_NOT_FOUND']);
});

test('cancel takes the deployment in progress, not the queued one behind it, which it names', async () => {
  const waits = sampleDeployment({ id: IDS.older, status: 'queued', commit: 'b'.repeat(40) });
  const result = await run(['cancel', '--give-up', ...SHOP], {
    [`GET ${DEPLOYMENTS}`]: () => [waits, sampleDeployment(), sampleDeployment({ id: IDS.host, status: 'live' })],
    [`POST /deployments/${IDS.deployment}/cancel`]: () => sampleDeployment({ status: 'failed' }),
  });
  assert.deepEqual(result.stdout.split('\n'), [
    'Deploy of shop (production), main at aaaaaaa: cancel requested, now failed.',
    'Behind it, queued: Deploy of shop (production), main at bbbbbbb',
    `  cancel  orkestr cancel ${IDS.older}`,
    '',
  ]);
});

test('a cancel whose host is offline explains what happens meanwhile and how to avoid waiting', async () => {
  const waitingFor = 'the host vps-1, which is offline';
  const path = `POST /deployments/${IDS.deployment}/cancel`;
  const asked = await run(['cancel', IDS.deployment], {
    [path]: () => sampleDeployment({ cancelRequested: true, waitingFor }),
  });
  assert.match(
    asked.stdout,
    /It waits for the host vps-1, which is offline: it keeps running there until the host reconnects/,
  );
  assert.match(asked.stdout, new RegExp(`orkestr cancel ${IDS.deployment} --give-up`));
  assert.deepEqual(cli.hub?.asked[0]?.body, { giveUp: false });
  const given = await run(['cancel', IDS.deployment, '--give-up'], {
    [path]: () => sampleDeployment({ status: 'failed' }),
  });
  assert.match(given.stdout, /now failed\.\n$/);
  assert.deepEqual(cli.hub?.asked[0]?.body, { giveUp: true });
});

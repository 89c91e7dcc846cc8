import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AT, IDS, SHOP } from '../test-answers.ts';
import { refuse, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('notify add takes a URL from stdin only, shows the secret of a webhook, and says how to test it', async () => {
  const receiver = {
    name: 'pager',
    kind: 'webhook',
    everywhere: false,
    address: 'https://hooks.example.com/…',
    notices: ['deployment.failed', 'host.offline'],
    deliveries: [],
    createdAt: AT,
  };
  const path = '/projects/shop/receivers';
  const routes: Record<string, Script> = {
    [`POST ${path}`]: () => ({ ...receiver, secret: 'whsec_c2VjcmV0' }),
    'POST /receivers': () => ({ ...receiver, kind: 'email', everywhere: true, secret: null }),
  };
  const url = 'https://hooks.example.com/T0/secret-path';
  const on = ['--name', 'pager', '--on', 'deployment.failed', '--on', 'host.offline'];
  const added = await run(['notify', 'add', 'webhook', ...on, ...SHOP], routes, { stdin: `${url}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, {
    kind: 'webhook',
    address: url,
    name: 'pager',
    notices: ['deployment.failed', 'host.offline'],
  });
  assert.ok(!added.stdout.includes('secret-path'));
  assert.match(added.stdout, /shown only once:\n\n {2}whsec_c2VjcmV0\n\nTry it: orkestr notify test pager\n/);
  const mail = await run(['notify', 'add', 'email', 'ops@example.com', '--team', '--json'], routes);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'email', address: 'ops@example.com' });
  assert.equal(JSON.parse(mail.stdout).everywhere, true);
  for (const [args, told] of [
    [['slack', url], /A URL is a secret/],
    [['email'], /The address is missing/],
    [['pigeon'], /not a kind of receiver\. Use one of: webhook, slack, discord, email/],
  ] as const) {
    const refused = await run(['notify', 'add', ...args, ...SHOP], {});
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, told);
  }
});

test('notify list says what was not delivered and why, test what failed, remove what was removed', async () => {
  const error = { code: 'ORK_NOTIFY_ANSWER', message: 'hooks.example.com answered with HTTP 404.', evidence: [] };
  const delivery = {
    id: IDS.deployment,
    state: 'given-up',
    notices: [{ kind: 'deployment.failed', at: AT, summary: 'shop/production: the deployment failed' }],
    leftOut: 0,
    attempts: 30,
    error,
    createdAt: AT,
    nextTryAt: null,
    endedAt: AT,
  };
  const receiver = { name: 'slack', kind: 'slack', everywhere: true, address: 'https://hooks.example.com/…' };
  const path = '/projects/shop/receivers';
  const routes: Record<string, Script> = {
    [`GET ${path}`]: () => [{ ...receiver, notices: ['deployment.failed'], deliveries: [delivery], createdAt: AT }],
    'GET /receivers': () => [],
    [`POST ${path}/slack/test`]: refuse('ORK_NOTIFY_DNS', 'The name in hooks.example.com could not be resolved.'),
    'POST /receivers/slack/test': (_asked, response) => void response.writeHead(204).end(),
    [`DELETE ${path}/slack`]: (_asked, response) => void response.writeHead(204).end(),
  };
  const list = await run(['notify', 'list', ...SHOP], routes);
  assert.match(list.stdout, /^slack +slack +https:\/\/hooks\.example\.com\/… +team +given up .* deployment\.failed$/m);
  assert.match(
    list.stdout,
    /slack: given up: shop\/production: the deployment failed\. .* HTTP 404\.\nSee the message/,
  );
  assert.match((await run(['notify', 'list', '--team'], routes)).stdout, /No receivers\. Add one: /);
  const failed = await run(['notify', 'test', 'slack', ...SHOP], routes);
  assert.deepEqual([failed.code, /could not be resolved/.test(failed.stderr)], [1, true]);
  assert.match((await run(['notify', 'test', 'slack', '--team'], routes)).stdout, /slack has accepted a test\./);
  const removed = await run(['notify', 'remove', 'slack', ...SHOP, '--json'], routes);
  assert.deepEqual(JSON.parse(removed.stdout), { removed: 'slack' });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Environment } from '../../api/schemas.ts';
import { SHOP, environment } from '../test-answers.ts';
import { useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('environment set sends the changes alone', async () => {
  const args = ['environment', 'set', 'staging', '--memory', '256', '--setting', 'port=null', ...SHOP];
  const result = await run(args, { 'PATCH /projects/shop/environments/staging': () => environment });
  assert.equal(result.code, 0);
  assert.deepEqual(cli.hub?.asked[0]?.body, { settings: { limits: { memoryMiB: 256 }, port: null } });
  assert.equal((await cli.home.run(['environment', 'set', ...SHOP])).code, 2);
});

test('access add and remove send that user alone, with the password of stdin; list shows names', async () => {
  const users: Environment = {
    ...environment,
    settings: { ...environment.settings, edge: { ...environment.settings.edge, basicAuth: [{ user: 'grace' }] } },
  };
  const routes: Record<string, Script> = {
    'GET /projects/shop/environments/preview': () => users,
    'PATCH /projects/shop/environments/preview/access': () => [{ user: 'grace' }],
  };
  const preview = ['-e', 'preview', ...SHOP];
  const password = 'correct horse battery';
  const added = await run(['access', 'add', 'ada', ...preview], routes, { stdin: `${password}\n` });
  assert.equal(added.code, 0, added.stderr);
  assert.ok(!added.stdout.includes(password));
  assert.deepEqual(
    cli.hub?.asked.map(({ body }) => body),
    [{ users: { ada: password } }],
  );
  await run(['access', 'remove', 'grace', ...preview], routes);
  assert.deepEqual(cli.hub?.asked[0]?.body, { users: { grace: null } });
  assert.equal((await run(['access', 'list', ...preview], routes)).stdout, 'grace\n');
});

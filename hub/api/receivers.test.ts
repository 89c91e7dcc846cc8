import assert from 'node:assert/strict';
import { test } from 'node:test';
import { add, list, start } from '../notify/test-notices.ts';

test("a receiver's address is sealed at rest and in no later response; a webhook secret is returned once", async (t) => {
  const { on, receiver } = await start(t);
  const made = await add(on, '/projects/shop/receivers', { kind: 'webhook', address: receiver.url });
  assert.match(made.secret ?? '', /^whsec_/);
  const rows = JSON.stringify(await on.deps.db.selectFrom('receiver').selectAll().execute());
  const answers = JSON.stringify(await list(on));
  for (const secret of ['secret-path', made.secret ?? '']) {
    assert.ok(!rows.includes(secret) && !answers.includes(secret), secret);
  }
  assert.equal((await list(on))[0]?.address, `${new URL(receiver.url).origin}/…`);
});

test('a test reports a failure at once and is rate-limited, and names are unique per project and per team', async (t) => {
  const { on, receiver } = await start(t);
  await add(on, '/projects/shop/receivers', { kind: 'slack', address: receiver.url });
  await add(on, '/receivers', { kind: 'slack', address: receiver.url });
  for (const path of ['/projects/shop/receivers', '/receivers']) {
    assert.equal((await on.api('POST', path, { kind: 'slack', address: receiver.url })).status, 409, path);
  }
  const trial = () => on.api('POST', '/projects/shop/receivers/slack/test');
  assert.equal((await trial()).status, 204);
  assert.match(receiver.got[0]?.body ?? '', /Test: notifications from orkestr arrive here/);
  for (const path of ['/projects/shop/receivers', '/receivers']) {
    assert.equal((await on.api('POST', `${path}/slack/test`)).status, 429, 'an address is tested once in a while only');
  }
  assert.equal(receiver.got.length, 1);
  on.pass(10_000);
  receiver.answer = 404;
  const answer = await trial();
  assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [502, 'ORK_NOTIFY_ANSWER']);
  assert.equal((await on.api('DELETE', '/projects/shop/receivers/slack')).status, 204);
  assert.equal((await trial()).status, 404);
  assert.deepEqual(
    (await list(on)).map(({ name, everywhere }) => [name, everywhere]),
    [['slack', true]],
  );
});

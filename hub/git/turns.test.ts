import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

const never = new AbortController().signal;

/** A push that ends on demand. */
function aPush(started: string[], name: string) {
  const { promise, resolve } = Promise.withResolvers<void>();
  const push = async (): Promise<void> => {
    started.push(name);
    await promise;
  };
  return { push, end: resolve };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('pushes into one repository run in order of arrival; another repository does not wait', async () => {
  const turns = new Turns(60_000);
  const started: string[] = [];
  const pushes = ['a1', 'a2', 'a3', 'b1'].map((name) => ({ name, ...aPush(started, name) }));
  const all = pushes.map(({ name, push }) => turns.take(name.slice(0, 1), never, push));
  await settled();
  assert.deepEqual(started, ['a1', 'b1']);
  for (const { end } of pushes) {
    end();
    await settled();
  }
  await Promise.all(all);
  assert.deepEqual(started, ['a1', 'b1', 'a2', 'a3']);
});

test('a failed push passes its turn on', async () => {
  const turns = new Turns(60_000);
  const failed = turns.take('a', never, () => Promise.reject(new Error('broken off')));
  const next = turns.take('a', never, () => Promise.resolve('done'));
  await assert.rejects(failed, /broken off/);
  assert.equal(await next, 'done');
});

test('a push that waits too long is refused, and one whose client has disconnected stops waiting', async () => {
  const started: string[] = [];
  const { push, end } = aPush(started, 'a1');
  const hasty = new Turns(10);
  const first = hasty.take('a', never, push);
  await assert.rejects(hasty.take('a', never, aPush(started, 'a2').push), { code: 'ORK_TOO_MANY_REQUESTS' });
  end();
  await first;

  const patient = new Turns(60_000);
  const other = aPush(started, 'b1');
  const running = patient.take('b', never, other.push);
  const gone = new AbortController();
  const waiting = patient.take('b', gone.signal, aPush(started, 'b2').push);
  gone.abort();
  await assert.rejects(waiting, { code: 'ORK_TOO_MANY_REQUESTS' });
  other.end();
  await running;
  assert.deepEqual(started, ['a1', 'b1']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { APP_LOG_WINDOW } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { until } from '../../test/harness/until.ts';
import { linkBench, ORDER, readIdOf } from './test-link.ts';
import { HOST_APP_LOG_READS } from '../../protocol/app-log.ts';

test('the link sends an app log as far as credit allows, with reports in between, until the hub closes the read', async (t) => {
  const { hub, appLogs, report } = await linkBench(t);
  await hub.until(() => hub.messages.some(({ type }) => type === 'status'));
  const chunks = () => hub.messages.filter((message) => message.type === 'app-log-chunk');
  hub.send({ type: 'app-log', readId: readIdOf(1), ...ORDER });
  await hub.until(() => chunks().length === APP_LOG_WINDOW);
  assert.deepEqual(appLogs[0]?.request, ORDER);
  report();
  await hub.until(() => hub.stored.size === 1);
  assert.equal(chunks().length, APP_LOG_WINDOW, 'An app that writes without end waits for credit.');
  hub.send({ type: 'app-log-credit', readId: readIdOf(1), chunks: 2 });
  await hub.until(() => chunks().length === APP_LOG_WINDOW + 2);
  assert.deepEqual(
    chunks().map(({ lines }) => lines[0]?.text),
    [1, 2, 3, 4, 5, 6].map((n) => `line ${n}`),
  );
  hub.send({ type: 'app-log-close', readId: readIdOf(1) });
  hub.send({ type: 'app-log-credit', readId: readIdOf(1), chunks: 2 });
  await until(() => appLogs[0]?.closed === true);
  hub.send({ type: 'app-log', readId: readIdOf(2), ...ORDER });
  await hub.until(() => chunks().length === 2 * APP_LOG_WINDOW + 2);
  assert.ok(!hub.messages.some(({ type }) => type === 'app-log-end'), 'Nobody is told of an end that was asked for.');
  hub.cut();
  await until(() => appLogs[1]?.closed === true);
});

test('a failed read ends with its error code, and so does a read beyond the limit', async (t) => {
  const { hub, appLogs } = await linkBench(t);
  await hub.until(() => hub.messages.some(({ type }) => type === 'status'));
  const ends = () => hub.messages.filter((message) => message.type === 'app-log-end');
  for (let n = 0; n <= HOST_APP_LOG_READS; n += 1) hub.send({ type: 'app-log', readId: readIdOf(n), ...ORDER });
  await hub.until(() => ends().length === 1);
  assert.partialDeepStrictEqual(ends()[0], {
    readId: readIdOf(HOST_APP_LOG_READS),
    error: { code: 'ORK_TOO_MANY_REQUESTS' },
  });
  const first = appLogs[0] ?? assert.fail();
  first.fails = new OrkestrError('ORK_ENGINE_TIMEOUT', 'Docker hangs.');
  hub.send({ type: 'app-log-credit', readId: readIdOf(0), chunks: 2 });
  await hub.until(() => ends().length === 2);
  assert.partialDeepStrictEqual(ends()[1], { readId: readIdOf(0), error: { code: 'ORK_ENGINE_TIMEOUT' } });
  hub.send({ type: 'app-log', readId: readIdOf(99), ...ORDER });
  await until(() => appLogs.length === HOST_APP_LOG_READS + 1);
});

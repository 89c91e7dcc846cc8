import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EdgeSettings } from '../../protocol/edge.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { FlipAnswer, FlipReceipt } from '../../protocol/proxy-admin.ts';
import { tableView, targetView, upstreamView } from '../proxy-client/test-table.ts';
import type { EdgeProxy } from './ports.ts';
import { describeReceipt, makeReceipt, urlsOf } from './receipt.ts';
import { aContext } from './test-context.ts';
import { IDS } from './test-job.ts';
import { scripted } from './test-ports.ts';

const AT = '2030-01-01T00:00:01.000Z';
const SIDE = { requests: { served: 7, failed: 0 }, errors: 2, firstRequestAt: AT, lastRequestAt: AT };
const ANSWER: FlipAnswer = {
  generation: 2,
  flippedAt: AT,
  changed: true,
  previous: { targetId: IDS.previous, inFlight: 3, streams: 0, requests: { served: 10, failed: 0 } },
};
const COUNTED: FlipReceipt = {
  generation: 2,
  flippedAt: AT,
  previous: { ...SIDE, targetId: IDS.previous, inFlightAtFlip: 3 },
  current: { ...SIDE, targetId: IDS.deployment },
  drain: null,
  held: { requests: 4, refused: 1, p50Ms: 12, maxMs: 80.4 },
  failed: 0,
};

const contextOf = (proxy: Partial<EdgeProxy>) =>
  aContext({
    ports: {
      proxy: scripted<EdgeProxy>('proxy', {
        certificates: async () => ({ certificates: [], missing: [] }),
        table: async () =>
          tableView(upstreamView({ id: IDS.environment, targets: [targetView({ id: IDS.deployment, errors: 1 })] })),
        ...proxy,
      }),
    },
  });

test('the receipt uses the counts that the proxy kept of the same flip', async () => {
  const receipt = await makeReceipt(contextOf({ receipt: async () => COUNTED }), ANSWER, null);
  assert.deepEqual(receipt, { ...COUNTED, urls: [] });
});

test("the receipt ignores the proxy's counts of another flip", async () => {
  const others: FlipReceipt[] = [
    { ...COUNTED, generation: 1 },
    { ...COUNTED, current: { ...SIDE, targetId: IDS.previous } },
    { ...COUNTED, previous: null },
  ];
  for (const other of others) {
    const receipt = await makeReceipt(contextOf({ receipt: async () => other }), ANSWER, null);
    assert.deepEqual(receipt.previous?.requests, { served: 10, failed: 0 });
    assert.deepEqual(receipt.current.firstRequestAt, null);
    assert.equal(receipt.current.errors, 1);
  }
});

test('a proxy error does not fail the receipt, but an unreachable proxy does, so that the runner retries', async () => {
  const refuse = () => Promise.reject(new OrkestrError('ORK_INTERNAL', 'no idea'));
  const context = contextOf({ receipt: refuse, certificates: refuse });
  assert.equal((await makeReceipt(context, ANSWER, null)).generation, 2);
  assert.deepEqual(context.lines, ['the proxy gives no receipt: no idea', 'the proxy gives no certificates: no idea']);
  const away = contextOf({ receipt: () => Promise.reject(new OrkestrError('ORK_PROXY_UNREACHABLE', 'away')) });
  await assert.rejects(makeReceipt(away, ANSWER, null), { code: 'ORK_PROXY_UNREACHABLE' });
});

test('URLs use https where a certificate covers the host, or where http is never served', () => {
  const domains = ['shop.example', '*.shop.example', 'a.b.example', 'c.b.example'].map((host) => ({
    host,
    pathPrefix: '/',
  }));
  const edge = EdgeSettings.parse({});
  const certificates = [{ host: 'shop.example' }, { host: '*.b.example' }];
  assert.deepEqual(urlsOf({ domains, edge }, certificates), [
    'https://shop.example/',
    'http://*.shop.example/',
    'https://a.b.example/',
    'https://c.b.example/',
  ]);
  const only = urlsOf({ domains, edge: { ...edge, https: 'only' } }, []);
  assert.ok(only.every((url) => url.startsWith('https://')));
});

test('the log line of a worker says that it has no domain instead of counting to zero', () => {
  const none = { served: 0, failed: 0 };
  const { previous, current } = COUNTED;
  const quiet = {
    ...COUNTED,
    previous: previous && { ...previous, requests: none },
    current: { ...current, requests: none },
    held: null,
  };
  assert.equal(describeReceipt({ ...quiet, urls: [] }), 'no requests: it has no domain');
  assert.match(describeReceipt({ ...quiet, urls: ['https://shop.example/'] }), /^requests: 0 by the old target/);
});

test('the log line counts the requests of both targets and the held ones', () => {
  assert.equal(
    describeReceipt({ ...COUNTED, urls: [] }),
    'requests: 7 by the old target, 7 by the new, 4 held for at most 80 ms, 1 of them refused, 0 failed',
  );
});

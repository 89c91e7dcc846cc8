import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeCertificate } from '../../test/harness/certificates.ts';
import { CLOSED_PORT } from '../../test/harness/free-port.ts';
import { startReceiver } from '../notify/test-receiver.ts';
import { allowedAddresses } from './addresses.ts';
import { type OutboundOptions, post } from './post.ts';

const OPEN = { allowPrivate: true, allow: ['127.0.0.0/8'] };
const CLOSED = { allowPrivate: true, allow: [] };
const request = (url: string) => ({ url: new URL(url), headers: {}, body: '{}' });
const send = (config: typeof OPEN | typeof CLOSED, url: string, options: OutboundOptions = {}, ms = 60_000) =>
  post(config, request(url), AbortSignal.timeout(ms), options);
const refused = (code: string, message: RegExp) => ({ code, message });

async function certificate(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-outbound-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return makeCertificate(folder, 'hook', ['DNS:hook.test', 'IP:127.0.0.1']);
}

test('a 2xx answer counts as delivered, and the receiver gets path, headers and body', async (t) => {
  const receiver = await startReceiver(t);
  await post(OPEN, { ...request(receiver.url), headers: { 'x-a': '1' }, body: 'hello' }, AbortSignal.timeout(5_000));
  const [got] = receiver.got;
  assert.deepEqual([got?.path, got?.headers['x-a'], got?.body], ['/hook/secret-path', '1', 'hello']);
});

test('nothing is sent to loopback, link-local, metadata or own addresses, however they are written', async () => {
  const own = Object.values(networkInterfaces()).flatMap((found = []) => found.map(({ address }) => address));
  const hosts = ['127.0.0.1', '127.1', '0x7f000001', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]'];
  const metadata = ['169.254.169.254', '100.100.100.200', '[fd00:ec2::254]', '[fe80::1]', '[64:ff9b::7f00:1]'];
  const mine = own.filter((address) => !address.includes(':')).slice(0, 3);
  for (const host of [...hosts, ...metadata, ...mine]) {
    await assert.rejects(send(CLOSED, `http://${host}:1/`), refused('ORK_NOTIFY_ADDRESS', /sends nothing there/), host);
  }
});

test('all addresses of a name are checked, and the connection goes to a checked address', async (t) => {
  const receiver = await startReceiver(t);
  const { port } = new URL(receiver.url);
  const at = (...addresses: string[]): OutboundOptions => ({
    resolve: () => Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))),
  });
  const url = `http://hook.test:${port}/`;
  await assert.rejects(
    send(CLOSED, url, at('93.184.216.34', '127.0.0.1')),
    refused('ORK_NOTIFY_ADDRESS', /hook\.test leads to 127\.0\.0\.1, which is one of the hub's own/),
  );
  let asked = 0;
  const moving: OutboundOptions = {
    resolve: () => Promise.resolve([{ address: ++asked === 1 ? '127.0.0.1' : '169.254.169.254', family: 4 }]),
  };
  await send(OPEN, url, moving);
  assert.deepEqual([asked, receiver.got.length], [1, 1]);
  assert.equal(receiver.got[0]?.headers.host, `hook.test:${port}`);
  // Nothing listens at the first address, as on a hub without IPv6.
  await send({ ...OPEN, allow: [...OPEN.allow, '::1/128'] }, url, at('::1', '127.0.0.1'));
  assert.equal(receiver.got.length, 2);
});

test('private networks are allowed unless the owner of the hub blocks them', async () => {
  const closed = { allowPrivate: false, allow: ['10.7.0.0/16'] };
  const signal = AbortSignal.timeout(5_000);
  await assert.rejects(
    allowedAddresses(closed, '10.6.0.1', signal),
    refused('ORK_NOTIFY_ADDRESS', /in a private network/),
  );
  for (const [config, address] of [
    [CLOSED, '10.6.0.1'],
    [closed, '10.7.0.1'],
  ] as const) {
    assert.deepEqual(await allowedAddresses(config, address, signal), [{ address, family: 4 }]);
  }
});

test('a redirect is not followed, and an answer other than 2xx is reported with its status', async (t) => {
  const receiver = await startReceiver(t);
  receiver.answer = 302;
  await assert.rejects(send(OPEN, receiver.url), refused('ORK_NOTIFY_ANSWER', /HTTP 302\. .* not followed/));
  receiver.answer = 404;
  await assert.rejects(send(OPEN, receiver.url), refused('ORK_NOTIFY_ANSWER', /HTTP 404\.$/));
  assert.deepEqual(
    receiver.got.map(({ path }) => path),
    ['/hook/secret-path', '/hook/secret-path'],
  );
});

test('a failure is reported by its cause: DNS, connection, TLS or timeout', async (t) => {
  const receiver = await startReceiver(t);
  const missing: OutboundOptions = {
    resolve: () => Promise.reject(Object.assign(new Error('getaddrinfo'), { code: 'ENOTFOUND' })),
  };
  await assert.rejects(send(OPEN, 'https://gone.test/', missing), refused('ORK_NOTIFY_DNS', /gone\.test .*ENOTFOUND/));
  await assert.rejects(
    send(OPEN, `http://127.0.0.1:${CLOSED_PORT}/`),
    refused('ORK_NOTIFY_UNREACHABLE', /127\.0\.0\.1:\d+ cannot be reached: ECONNREFUSED/),
  );
  await assert.rejects(
    send(OPEN, receiver.url.replace('http:', 'https:')),
    refused('ORK_NOTIFY_TLS', /No secure connection/),
  );
  receiver.answer = 0;
  await assert.rejects(send(OPEN, receiver.url, {}, 300), refused('ORK_NOTIFY_UNREACHABLE', /did not answer in time/));
  const never: OutboundOptions = { resolve: () => new Promise(() => undefined) };
  await assert.rejects(send(OPEN, 'http://slow.test/', never, 100), refused('ORK_NOTIFY_UNREACHABLE', /in time/));
});

test('a certificate is verified against the requested name', async (t) => {
  const keys = await certificate(t);
  const receiver = await startReceiver(t, keys);
  await assert.rejects(send(OPEN, receiver.url), refused('ORK_NOTIFY_TLS', /DEPTH_ZERO_SELF_SIGNED_CERT/));
  const resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
  const { port } = new URL(receiver.url);
  await send(OPEN, `https://hook.test:${port}/`, { ca: keys.cert, resolve });
  await assert.rejects(send(OPEN, `https://other.test:${port}/`, { ca: keys.cert, resolve }), {
    code: 'ORK_NOTIFY_TLS',
  });
  assert.equal(receiver.got.length, 1);
});

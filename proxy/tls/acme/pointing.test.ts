import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { Challenges } from './challenges.ts';
import { checkPointing, isOutside } from './pointing.ts';
import type { PointingDependencies } from './pointing.ts';

/** A host with this answer on port 80. `open` holds the challenges of this proxy. */
async function host(t: TestContext, answer: (open: ReadonlyMap<string, string>) => RequestListener) {
  const open = new Map<string, string>();
  const challenges = new Challenges(({ http }) => {
    open.clear();
    for (const [token, text] of Object.entries(http)) open.set(token, text);
  });
  const server = createServer(answer(open)).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const dependencies: PointingDependencies = {
    resolve: async () => ['127.0.0.1'],
    publicAddresses: [],
    httpPort: (server.address() as AddressInfo).port,
    challenges,
    mayProbe: () => true,
    signal: AbortSignal.timeout(10_000),
  };
  return { dependencies, open };
}

const tokenOf = (url = ''): string => url.replace('/.well-known/acme-challenge/', '');

test("an address that is not on any interface counts as this host if it returns the proxy's challenge answer", async (t) => {
  const asked: string[] = [];
  const { dependencies, open } = await host(t, (open) => (request, response) => {
    asked.push(request.headers.host ?? '');
    response.end(open.get(tokenOf(request.url)));
  });
  await checkPointing('a.test', dependencies);
  assert.deepEqual(asked, ['a.test']);
  assert.equal(open.size, 0, 'the answer is closed again');
});

test('another server, one that echoes, one that never ends and one that resets do not count as this host', async (t) => {
  const others: [RequestListener, RegExp][] = [
    [(_request, response) => response.writeHead(404).end('not found'), /another server answers/],
    [(request, response) => response.end(tokenOf(request.url)), /another server answers there, with 200\)/],
    [
      (_request, response) => response.writeHead(403).end('x'.repeat(100_000)),
      /another server answers there, with 403\)/,
    ],
    [(_request, response) => response.end('x'.repeat(100_000)), /another server answers there, with 200\)/],
    [(request) => request.socket.destroy(), /ECONNRESET/],
  ];
  for (const [listener, reason] of others) {
    const { dependencies } = await host(t, () => listener);
    await assert.rejects(checkPointing('a.test', dependencies), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'ORK_ACME_DNS');
      assert.match(error.message, /^a\.test points to 127\.0\.0\.1, and 127\.0\.0\.1 is not this host/);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test('a configured public address counts as this host without a request, in any notation', async (t) => {
  const { dependencies } = await host(t, () => (_request, response) => response.writeHead(404).end());
  const publicAddresses = ['127.0.0.1', '2001:DB8:0::7'];
  const resolve = async () => ['127.0.0.1', '2001:db8::7'];
  await checkPointing('a.test', { ...dependencies, resolve, publicAddresses });
});

test('an address that does not answer is explained, with the setting for a host behind NAT', async (t) => {
  const { dependencies } = await host(t, () => () => {});
  await assert.rejects(checkPointing('a.test', { ...dependencies, probeTimeoutMs: 100 }), {
    code: 'ORK_ACME_DNS',
    message:
      'a.test points to 127.0.0.1, and 127.0.0.1 is not this host (no answer within 0.1 s). ' +
      'If your router forwards it to this host, set ORKESTR_PROXY_PUBLIC=127.0.0.1 in proxy.env (docs/tls.md).',
  });
});

test('one foreign address of several is enough to refuse, and a pending lookup ends with the proxy', async (t) => {
  const { dependencies } = await host(t, (open) => (request, response) => {
    if (request.socket.localAddress === '127.0.0.1') response.end(open.get(tokenOf(request.url)));
  });
  const both = { ...dependencies, resolve: async () => ['127.0.0.1', '127.0.0.98'] };
  await assert.rejects(checkPointing('a.test', both), /127\.0\.0\.98 is not this host \(no answer: ECONNREFUSED\)/);
  await assert.rejects(
    checkPointing('a.test', { ...dependencies, resolve: () => new Promise(() => {}), signal: AbortSignal.abort() }),
    /DNS has no answer/,
  );
  const many = { ...dependencies, resolve: async () => Array.from({ length: 9 }, (_, at) => `192.0.2.${at}`) };
  await assert.rejects(checkPointing('a.test', many), /9 addresses/);
});

test('addresses of this machine and its link, which DNS may name, are never contacted', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '0.0.0.0', '169.254.169.254', '224.0.0.1', '255.255.255.255']) {
    assert.equal(isOutside(address), false, address);
    assert.equal(isOutside(`::ffff:${address}`), false, `mapped ${address}`);
  }
  for (const address of ['::', '::1', 'fe80::1', 'ff02::1']) assert.equal(isOutside(address), false, address);
  for (const address of ['192.0.2.1', '10.0.0.1', '2001:db8::1', 'fd00::1']) assert.equal(isOutside(address), true);
});

test('a redirect is named with its status and its target, and with what a CDN must leave out', async (t) => {
  for (const [status, location, named] of [
    [301, 'https://a.test/.well-known/acme-challenge/x', '301 to https://a.test'],
    [308, '//b.test:8443/', '308 to http://b.test:8443'],
    [302, '/login', '302 to http://a.test'],
    [307, 'https://[', '307 to no address'],
    [301, undefined, '301 to no address'],
  ] as const) {
    const { dependencies } = await host(
      t,
      () => (_request, response) => response.writeHead(status, location === undefined ? {} : { location }).end('moved'),
    );
    await assert.rejects(checkPointing('a.test', dependencies), {
      code: 'ORK_ACME_DNS',
      message: `a.test points to 127.0.0.1, and 127.0.0.1 is not this host (the answer is a redirect, ${named}). If a CDN in front of this host sends it, except /.well-known/acme-challenge/ from its redirects (docs/tls.md).`,
    });
  }
});

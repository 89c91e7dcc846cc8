import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

const BODY = 'x'.repeat(1024);

async function serve(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer({ keepAliveTimeout: 60_000 }, listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function client(t: TestContext, name: string, ...args: readonly (string | number)[]): ChildProcess {
  const file = fileURLToPath(new URL(`load/${name}.ts`, import.meta.url));
  const child = spawn(process.execPath, [file, ...args.map(String)]);
  t.after(() => child.kill('SIGKILL'));
  return child;
}

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly errors: string;
}

/** One second of warm-up and one that counts. */
const fixedRate = async (t: TestContext, port: number, rate: number): Promise<Ended> => {
  const child = client(t, 'fixed-rate', `http://127.0.0.1:${port}/1k`, rate, 1, BODY.length);
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout as NonNullable<typeof child.stdout>),
    text(child.stderr as NonNullable<typeof child.stderr>),
    once(child, 'exit') as Promise<[number]>,
  ]);
  return { code, output, errors };
};

test('a server that stalls for half a second shows in every request that was due meanwhile', async (t) => {
  let served = 0;
  const port = await serve(t, (_req, res) => {
    served += 1;
    // In the second after the warm-up; 200 requests per second are due, and none of them waits for an earlier response.
    if (served === 250) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    res.end(BODY);
  });
  const { code, output } = await fixedRate(t, port, 200);
  assert.equal(code, 0);
  assert.equal(served, 400);
  const { p99 } = JSON.parse(output) as { p99: number };
  assert.ok(p99 > 400, `p99 is ${p99} ms`);
});

test('a wrong response among those at a fixed rate is a failure', async (t) => {
  let served = 0;
  const port = await serve(t, (_req, res) => {
    served += 1;
    res.end(served === 300 ? 'short' : BODY);
  });
  const { code, errors } = await fixedRate(t, port, 1000);
  assert.notEqual(code, 0);
  assert.match(errors, /answered 200 with 5 bytes/);
});

test('idle clients use many addresses, and notice when a connection is closed', async (t) => {
  const addresses = new Set<string>();
  const connections: NonNullable<Parameters<RequestListener>[0]['socket']>[] = [];
  const port = await serve(t, (req, res) => {
    addresses.add(req.socket.remoteAddress ?? '');
    connections.push(req.socket);
    res.end(BODY);
  });
  for (const closed of [0, 1]) {
    const child = client(t, 'idle-clients', port, 50);
    await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
    assert.equal(connections.length, 50);
    const gone = connections.slice(0, closed).map((socket) => once(socket.destroy(), 'close'));
    await Promise.all(gone);
    // Stdin ends only after the earlier FIN.
    child.stdin?.end();
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, closed);
    connections.length = 0;
  }
  assert.equal(addresses.size, 20);
});

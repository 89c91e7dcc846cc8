/** A proxy that is replaced while visitors arrive: by its own successor, or by socket activation after kill -9. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { BoundSocket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FlipReceipt, TableView } from '../../../protocol/proxy-admin.ts';
import { until } from '../../harness/until.ts';
import {
  answering,
  eventually,
  OK,
  scriptedUpstream,
  SWITCH,
  temporaryFolder,
  UPGRADE_FIELDS,
  uuid,
} from './harness.ts';
import { ask, startLoad } from './load.ts';
import { callAdmin, environment, isProxy, pidsIn, serve, start } from './proxy-process.ts';
import type { Running } from './proxy-process.ts';

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';
const saying = (text: string) => answering(OK.replace('ok', text));

function flipTo(proxy: Running, generation: number, port: number) {
  const targets = [{ id: uuid(1000 + generation), address: '127.0.0.1', port }];
  return proxy.flip(generation, port, { targets });
}

const drainOf = (proxy: Running, target: number) =>
  proxy.admin(
    'POST',
    '/v1/drain',
    JSON.stringify({ upstreamId: uuid(1), targetId: uuid(target), deadlineSeconds: 30 }),
  );

/** Its child processes, according to the kernel. */
const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);

const receiptOf = async (proxy: Running): Promise<FlipReceipt> =>
  FlipReceipt.parse((await proxy.admin('GET', `/v1/upstreams/${uuid(1)}/receipt`)).body);

async function handOver(proxy: Running): Promise<number> {
  const { status, body } = await proxy.admin('POST', '/v1/hand-over', '{}');
  assert.equal(status, 200, proxy.output());
  return body.pid as number;
}

/**
 * Opens a connection to this process; call it before a hand-over.
 * @returns sends requests until one response ends the connection: from then on every response of that process does
 */
async function herald(proxy: Running): Promise<() => Promise<void>> {
  const wire = await proxy.connect();
  let asked = 0;
  const ask = async (): Promise<void> => {
    asked += 1;
    wire.send('GET / HTTP/1.1\r\nHost: nobody.test\r\n\r\n');
    await wire.sees(new RegExp(`^(?:HTTP/1.1 404 [^]*?ORK_HOST_UNKNOWN\\n){${asked}}$`));
  };
  await ask();
  return async () => {
    while (!/^connection: close/im.test(wire.received)) await ask();
  };
}

test('the old process exits only after systemd knows the new main process, however early it is done', async (t) => {
  const folder = await temporaryFolder(t);
  const said = join(folder, 'said');
  const program = join(folder, 'systemd-notify');
  // Slow, as on an overloaded machine; records whether its parent still exists.
  const slow = `case "$1" in MAINPID=*) sleep 1; kill -0 $PPID && echo "$1" >> ${said};; esac`;
  writeFileSync(program, `#!/bin/sh\n${slow}\n`, { mode: 0o755 });
  const proxy = await serve(t, folder, undefined, {
    NOTIFY_SOCKET: '/run/none',
    PATH: `${folder}:${process.env['PATH']}`,
  });
  const exit = once(proxy.child, 'exit');
  const successor = await handOver(proxy);
  await exit;
  assert.equal(readFileSync(said, 'utf8'), `MAINPID=${successor}\n`);
});

for (const workers of ['1', '2']) {
  test(`a hand-over under load with ${workers} worker(s) refuses no connection, and a drain includes the old process`, async (t) => {
    const proxy = await serve(t, await temporaryFolder(t), undefined, { ORKESTR_PROXY_WORKERS: workers });
    const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
    await flipTo(proxy, 1, old.port);
    const client = (await proxy.connect()).send(GET);
    const wire = await old.wire(0);
    await wire.sees('\r\n\r\n');
    await flipTo(proxy, 2, young.port);
    const load = startLoad(proxy.port);
    t.after(() => load.stop());
    await load.more(20);
    const successor = await handOver(proxy);
    assert.notEqual(successor, proxy.child.pid);
    await load.more(50);
    const view = TableView.parse((await proxy.admin('GET', '/v1/table')).body);
    assert.deepEqual(
      view.upstreams[0]?.targets.map(({ id, state, inFlight }) => [id, state, inFlight > 0 && state === 'draining']),
      [
        [uuid(1002), 'healthy', false],
        [uuid(1001), 'draining', true],
      ],
    );
    // The old process accepts no connections any more, but the new one still waits for its request.
    let drained = false;
    const drain = drainOf(proxy, 1001).finally(() => (drained = true));
    await load.more(20);
    assert.equal(drained, false);
    assert.equal(isProxy(proxy.child.pid ?? 0), true);
    wire.send(OK);
    await client.sees(/Connection: close.*ok$/is);
    assert.deepEqual((await drain).body.requests, { served: 1, failed: 0 });
    const before = await receiptOf(proxy);
    await eventually('the end of the old process', () => proxy.child.exitCode !== null);
    assert.equal(proxy.child.exitCode, 0);
    // Its counts survive, up to the last request.
    const after = await receiptOf(proxy);
    assert.deepEqual(after.previous, before.previous);
    assert.equal(after.previous?.requests.served, 1);
    assert.ok(after.current.requests.served >= before.current.requests.served);
    const third = await scriptedUpstream(t, saying('v3'));
    assert.equal((await flipTo(proxy, 3, third.port)).status, 200);
    assert.equal(await ask(proxy.port), 'v3');
    await load.stop();
    assert.deepEqual(load.faults, []);
  });
}

test('a hand-over requested before the proxy serves is done once it serves', async (t) => {
  const folder = await temporaryFolder(t);
  const env = { ...environment(folder), ORKESTR_PROXY_WORKERS: '2' };
  const { child, output } = start(t, ['serve'], env);
  const workers = (): number[] => childrenOf(child.pid ?? 0);
  await until(() => workers().length === 2, 'its workers are being started');
  const stopped = workers();
  for (const pid of stopped) process.kill(pid, 'SIGSTOP');
  const answer = callAdmin(join(folder, 'admin.sock'), 'POST', '/v1/hand-over', '{}');
  // A successor that listened too early would be up by then.
  const late = performance.now() + 2000;
  await until(() => pidsIn(output()).length > 0 || performance.now() > late, 'enough time');
  for (const pid of stopped) process.kill(pid, 'SIGCONT');
  assert.equal((await answer).status, 200, output());
  await eventually('both', () => pidsIn(output()).length === 6);
});

test('a hold requested during a hand-over also holds visitors of the successor, or is refused', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t));
  const app = await scriptedUpstream(t, saying('v1'));
  await flipTo(proxy, 1, app.port);
  const handing = handOver(proxy);
  await until(() => childrenOf(proxy.child.pid ?? 0).length > 0, 'a successor is being started');
  const hold = JSON.stringify({ upstreamId: uuid(1), maxRequests: 10, maxBytes: 1000, maxSeconds: 30 });
  const held = await proxy.admin('POST', '/v1/hold', hold);
  await handing;
  if (held.status !== 200) {
    assert.equal(held.body.code, 'ORK_PROXY_UNREACHABLE');
    // The caller retries, and now the successor answers.
    assert.equal((await proxy.admin('POST', '/v1/hold', hold)).status, 200);
  }
  const visitor = (await proxy.connect()).send(GET);
  await until(async () => {
    const view = TableView.parse((await proxy.admin('GET', '/v1/table')).body);
    return view.upstreams[0]?.held === 1;
  });
  await proxy.admin('POST', '/v1/resume', JSON.stringify({ upstreamId: uuid(1) }));
  await visitor.sees(/v1$/);
});

for (const engine of ['fast', 'http-proxy']) {
  test(`a client between two requests at a hand-over gets its next response with Connection: close (${engine})`, async (t) => {
    const proxy = await serve(t, await temporaryFolder(t), undefined, { ORKESTR_PROXY_ENGINE: engine });
    const app = await scriptedUpstream(t, saying('v1'));
    await flipTo(proxy, 1, app.port);
    const client = (await proxy.connect()).send(GET);
    await client.sees(/v1$/);
    const leaving = await herald(proxy);
    await handOver(proxy);
    await leaving();
    // Longer than a process that stops in a hurry keeps such a connection open.
    await sleep(700);
    assert.equal(isProxy(proxy.child.pid ?? 0), true);
    client.send(GET);
    await client.sees(/v1.*Connection: close.*v1$/is);
    await eventually('the end of the old process', () => proxy.child.exitCode !== null);
  });
}

for (const engine of ['fast', 'http-proxy']) {
  test(`a response begun before a hand-over completes, and the next one on its connection has Connection: close (${engine})`, async (t) => {
    const proxy = await serve(t, await temporaryFolder(t), undefined, { ORKESTR_PROXY_ENGINE: engine });
    const [slow, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
    await flipTo(proxy, 1, slow.port);
    const client = (await proxy.connect()).send(GET);
    const wire = await slow.wire(0);
    await wire.sees('\r\n\r\n');
    wire.send('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab');
    await client.sees(/ab$/);
    const leaving = await herald(proxy);
    await handOver(proxy);
    await leaving();
    wire.send('cd');
    await client.sees(/abcd$/);
    await flipTo(proxy, 2, young.port);
    client.send(GET);
    await client.sees(/Connection: close.*v2$/is);
    await eventually('the end of the old process', () => proxy.child.exitCode !== null);
  });
}

test("a flip's previous target, its receipt and a hold survive a hand-over", async (t) => {
  const proxy = await serve(t, await temporaryFolder(t));
  const [old, young] = [await scriptedUpstream(t, saying('v1')), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, old.port);
  assert.equal(await ask(proxy.port), 'v1');
  await flipTo(proxy, 2, young.port);
  await proxy.admin('POST', '/v1/hold', JSON.stringify({ upstreamId: uuid(1) }));
  await handOver(proxy);
  const held = ask(proxy.port);
  await eventually('a successor', () => pidsIn(proxy.output()).length === 2);
  const receipt = await receiptOf(proxy);
  assert.deepEqual([receipt.generation, receipt.previous?.targetId], [2, uuid(1001)]);
  const back = { upstreamId: uuid(1), expectedGeneration: 2, targetId: uuid(1001) };
  assert.equal((await proxy.admin('POST', '/v1/flip-back', JSON.stringify(back))).status, 200);
  assert.equal(await held, 'v1');
});

test('the third process knows a stream of the first, even if the second has no stream of its own', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t));
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, old.port);
  const client = (await proxy.connect()).send(GET);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n');
  await client.sees(/ab/);
  await handOver(proxy);
  await handOver(proxy);
  // Longer than a process with nothing left to do takes to end.
  await sleep(4000);
  const { upstreams } = TableView.parse((await proxy.admin('GET', '/v1/table')).body);
  assert.deepEqual(
    upstreams[0]?.targets.map(({ inFlight, streams }) => [inFlight, streams]),
    [[1, 1]],
  );
  await flipTo(proxy, 2, young.port);
  const drained = drainOf(proxy, 1001);
  wire.send('2\r\ncd\r\n0\r\n\r\n');
  await client.sees(/cd/);
  const { body } = await drained;
  assert.deepEqual([body.known, (body.streams as { carried: number }).carried], [true, 1]);
});

test('a WebSocket stays open over a hand-over, and its drain by the new process closes it with 1001', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t));
  const [old, young] = [await scriptedUpstream(t), await scriptedUpstream(t, saying('v2'))];
  await flipTo(proxy, 1, old.port);
  const client = (await proxy.connect()).send(`GET / HTTP/1.1\r\nHost: app.test\r\n${UPGRADE_FIELDS}`);
  const wire = await old.wire(0);
  await wire.sees('\r\n\r\n');
  wire.send(SWITCH);
  await client.sees(/ 101 /);
  await handOver(proxy);
  wire.send('\x81\x05hello');
  await client.sees('\x81\x05hello');
  await flipTo(proxy, 2, young.port);
  const drain = {
    upstreamId: uuid(1),
    targetId: uuid(1001),
    deadlineSeconds: 1,
    streamDeadlineSeconds: 1,
    spreadSeconds: 0,
  };
  const { body } = await proxy.admin('POST', '/v1/drain', JSON.stringify(drain));
  await client.sees('hello\x88\x02\x03\xe9');
  assert.deepEqual(body.streams, { carried: 1, ended: 0, closed: 1 });
});

test('a successor that cannot start changes nothing, even if it removes the admin socket', async (t) => {
  const proxy = await serve(t, await temporaryFolder(t));
  const app = await scriptedUpstream(t, saying('v1'));
  await flipTo(proxy, 1, app.port);
  const failing = (execPath: string, args: string[]) =>
    proxy.admin('POST', '/v1/hand-over', JSON.stringify({ execPath, args }));
  for (const [execPath, args] of [
    ['/nowhere', []],
    ['/bin/false', []],
    ['/bin/rm', [proxy.adminSocket]],
  ] as const) {
    const { status, body } = await failing(execPath, [...args]);
    assert.deepEqual([status, body.code], [500, 'ORK_PROXY_HAND_OVER']);
    assert.equal(await ask(proxy.port), 'v1');
  }
  assert.equal((await flipTo(proxy, 2, app.port)).status, 200);
});

test('a proxy that is stopped during a hand-over stops its successor, too', async (t) => {
  const folder = await temporaryFolder(t);
  const proxy = await serve(t, folder);
  const asked = proxy
    .admin('POST', '/v1/hand-over', JSON.stringify({ execPath: '/bin/sleep', args: ['60'] }))
    .catch(String);
  const children = (): number[] => childrenOf(proxy.child.pid ?? 0);
  await until(() => children().length > 0, 'a successor');
  const [successor] = children();
  const exit = once(proxy.child, 'exit');
  proxy.child.kill('SIGTERM');
  assert.deepEqual(await exit, [0, null], proxy.output());
  await asked;
  assert.equal(existsSync(`/proc/${successor}`), false);
});

test('kill -9 under load with socket activation loses only requests in flight, and the table is restored', async (t) => {
  const folder = await temporaryFolder(t);
  // Bound here, the socket outlives every proxy that listens on it, as with systemd.
  using kept = new BoundSocket({ host: '127.0.0.1' });
  const activation = { launcher: fileURLToPath(new URL('activated.sh', import.meta.url)), fd: kept.fd() };
  const app = await scriptedUpstream(t, saying('v1'));
  let proxy = await serve(t, folder, activation);
  assert.equal(proxy.port, kept.address().port);
  await flipTo(proxy, 1, app.port);
  const visitors = 6;
  const load = startLoad(proxy.port, visitors);
  for (let kill = 1; kill <= 3; kill += 1) {
    await load.more(50);
    await proxy.end('SIGKILL');
    const before = performance.now();
    proxy = await serve(t, folder, activation);
    t.diagnostic(`serving again after ${Math.round(performance.now() - before)} ms`);
    await load.more(20);
    assert.ok(load.faults.length <= visitors * kill, load.faults.join('\n'));
  }
  assert.deepEqual(
    load.faults.filter((fault) => !/ECONNRESET|socket hang up/.test(fault)),
    [],
  );
  await load.stop();
});

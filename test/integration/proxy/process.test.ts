/** The proxy as a separate process: killed, stopped, restarted, handed a socket, called with bad arguments. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, openSync, writeSync } from 'node:fs';
import { copyFile, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createConnection, createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import manifest from '../../../package.json' with { type: 'json' };
import { proxyArgv } from '../../../installer/stack/stack.ts';
import { answering, entryFor, eventually, listen, OK, scriptedUpstream, temporaryFolder, uuid } from './harness.ts';
import { callAdmin, environment, serve, start } from './proxy-process.ts';

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n';

test('after kill -9 under traffic a restarted proxy serves the acknowledged table at once', async (t) => {
  const folder = await temporaryFolder(t);
  const [old, young] = [
    await scriptedUpstream(t, answering(OK.replace('ok', 'od'))),
    await scriptedUpstream(t, answering(OK)),
  ];
  const first = await serve(t, folder);
  assert.equal((await first.flip(1, old.port)).status, 200);
  assert.equal((await first.flip(2, young.port)).status, 200);
  const busy = await first.connect();
  for (let sent = 0; sent < 50; sent += 1) busy.send(GET);
  assert.equal(await first.end('SIGKILL'), null);
  const second = await serve(t, folder);
  await (await second.connect()).send(GET).sees(/^HTTP\/1.1 200 .*ok$/s);
  const table = await second.admin('GET', '/v1/table');
  assert.deepEqual(
    (table.body.upstreams as { generation: number }[]).map(({ generation }) => generation),
    [2],
  );
  // The answer to this flip may have been lost with the first process.
  assert.equal((await second.flip(2, young.port)).status, 200);
});

test('after kill -9 during flips the proxy restarts with one of them completely applied', async (t) => {
  const folder = await temporaryFolder(t);
  const upstream = await scriptedUpstream(t, answering(OK));
  let generation = 0;
  for (let round = 0; round < 4; round += 1) {
    const proxy = await serve(t, folder);
    const table = await proxy.admin('GET', '/v1/table');
    const [restored] = table.body.upstreams as { generation: number }[];
    const found = restored?.generation ?? 0;
    // The last acknowledged generation, or the one whose answer was lost.
    assert.ok(found === generation || found === generation + 1, `${found} after ${generation}`);
    generation = found;
    const exit = once(proxy.child, 'exit');
    try {
      for (let flips = 0; ; flips += 1) {
        // Some time after the first flip, however long that took.
        if (flips === 1) setTimeout(() => proxy.child.kill('SIGKILL'), round * 7);
        await proxy.flip(generation + 1, upstream.port);
        generation += 1;
      }
    } catch (error) {
      // The kill breaks calls in flight; the next round checks the state it left.
      assert.match(String(error), /ECONNRESET|ECONNREFUSED|socket hang up|aborted|ENOENT|EPIPE/);
    }
    await exit;
  }
  assert.ok(generation > 0);
});

test('a damaged table file is reported and its other copy served; if both are damaged, the proxy reports that', async (t) => {
  const folder = await temporaryFolder(t);
  const state = join(folder, 'state');
  const upstream = await scriptedUpstream(t, answering(OK));
  const first = await serve(t, folder);
  await first.flip(1, upstream.port);
  await first.flip(2, upstream.port);
  await first.end('SIGKILL');
  const file = join(state, 'table.b.json'); // the second flip's
  const text = await readFile(file, 'utf8');
  // Changes one digit of the port: valid JSON, wrong address.
  await writeFile(
    file,
    text.replace(/("port": \d*)(\d)/, (_all, start: string, last: string) => `${start}${(Number(last) + 1) % 10}`),
  );

  const second = await serve(t, folder);
  assert.match(second.output(), /"level":"error".*checksum/);
  await (await second.connect()).send(GET).sees(/200 OK.*ok$/s);
  await second.end('SIGTERM');

  await writeFile(join(state, 'table.a.json'), '');
  const third = await serve(t, folder);
  assert.match(third.output(), /"level":"error".*ORK_TABLE_UNREADABLE/);
  await (await third.connect()).send(GET).sees(/^HTTP\/1.1 503 .*ORK_TABLE_UNREADABLE/s);
  const health = await third.admin('GET', '/v1/health');
  assert.deepEqual([health.status, health.body.code], [500, 'ORK_TABLE_UNREADABLE']);
  await third.end('SIGKILL');

  const fourth = await serve(t, folder);
  assert.match(fourth.output(), /ORK_TABLE_UNREADABLE/);
  assert.equal((await fourth.flip(1, upstream.port)).status, 200);
  assert.deepEqual((await fourth.admin('GET', '/v1/health')).body, { ok: true, version: manifest.version });
  await (await fourth.connect()).send(GET).sees(/200 OK.*ok$/s);
  await (await fourth.connect()).send(GET.replace('app.test', 'x.test')).sees(/^HTTP\/1.1 404 /);
  const kept = await readdir(state);
  assert.deepEqual(kept.toSorted(), ['table.a.json', 'table.a.json.damaged', 'table.b.json']);
});

test('after SIGTERM no new connection is accepted, requests in flight complete, and clients are told to close', async (t) => {
  const folder = await temporaryFolder(t);
  const upstream = await scriptedUpstream(t);
  const proxy = await serve(t, folder);
  await proxy.flip(1, upstream.port);
  const [idle, busy] = [await proxy.connect(), await proxy.connect()];
  busy.send(GET);
  const wire = await upstream.wire(0);
  await wire.sees('\r\n\r\n');
  const exit = once(proxy.child, 'exit');
  proxy.child.kill('SIGTERM');
  await idle.end();
  await eventually('refused connections', () => proxy.output().includes('stopping'));
  await assert.rejects(proxy.connect());
  wire.send(OK);
  await busy.sees(/Connection: close.*ok$/s);
  await busy.end();
  assert.deepEqual(await exit, [0, null]);
  await assert.rejects(stat(proxy.adminSocket), { code: 'ENOENT' });
});

for (const engine of ['fast', 'http-proxy']) {
  test(`after SIGTERM a client's next response closes its connection, and idle clients are not waited for (${engine})`, async (t) => {
    const upstream = await scriptedUpstream(t, answering(OK));
    const proxy = await serve(t, await temporaryFolder(t), undefined, { ORKESTR_PROXY_ENGINE: engine });
    await proxy.flip(1, upstream.port);
    const [busy, idle] = [await proxy.connect(), await proxy.connect()];
    for (const client of [busy, idle]) await client.send(GET).sees(/ok$/);
    const exit = once(proxy.child, 'exit');
    proxy.child.kill('SIGTERM');
    await eventually('its word', () => proxy.output().includes('stopping'));
    busy.send(GET);
    await busy.sees(/ok.*Connection: close.*ok$/is);
    await idle.end();
    assert.deepEqual(await exit, [0, null]);
  });
}

test('a listening socket passed by systemd is served', async (t) => {
  const folder = await temporaryFolder(t);
  const listener = createServer();
  const close = async (): Promise<void> => {
    if (listener.listening) await new Promise((resolve) => listener.close(resolve));
  };
  t.after(close);
  const port = await listen(listener);
  const { fd } = (listener as unknown as { _handle: { fd: number } })._handle;
  const proxy = await serve(t, folder, { launcher: here('activated.sh'), fd });
  assert.equal(proxy.port, port);
  // From here on only the proxy accepts on the socket.
  await close();
  await (await proxy.connect()).send(GET).sees(/^HTTP\/1.1 404 /);
});

test('the admin socket is private, a stale one is replaced, and a second proxy is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const first = await serve(t, folder);
  assert.equal((await stat(first.adminSocket)).mode & 0o777, 0o600);
  const second = start(t, ['serve'], environment(folder));
  await eventually('the refusal', second.over);
  await eventually('its message', () => second.output().includes('ORK_ALREADY_RUNNING'));
  assert.equal(second.child.exitCode, 1);
  assert.equal((await first.admin('GET', '/v1/health')).status, 200);
  await first.end('SIGKILL');
  await stat(first.adminSocket);
  const third = await serve(t, folder);
  assert.equal((await third.admin('GET', '/v1/health')).status, 200);
});

test('malformed admin calls get a coded error, and the process keeps running', async (t) => {
  const folder = await temporaryFolder(t);
  const proxy = await serve(t, folder);
  const flip = JSON.stringify({ entry: entryFor(80), expectedGeneration: 0 });
  const calls: [string, string, string | undefined, number, string][] = [
    ['POST', '/v1/flip', '{', 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', '', 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', 'null', 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', '[]', 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', '{"__proto__":{"entry":1}}', 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', flip.replace('127.0.0.1', '::1'), 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', flip.replace('app.test', 'APP.test'), 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', flip.replace('"/"', '"/../x"'), 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', flip.replace('"port":80', '"port":0'), 400, 'ORK_INVALID'],
    ['POST', '/v1/flip', `${flip}${' '.repeat(600_000)}`, 413, 'ORK_TOO_LARGE'],
    [
      'POST',
      '/v1/drain',
      `{"upstreamId":"${uuid(1)}","targetId":"${uuid(1)}","deadlineSeconds":1e9}`,
      400,
      'ORK_INVALID',
    ],
    ['DELETE', '/v1/upstreams/..%2f..', undefined, 400, 'ORK_INVALID'],
    ['GET', '/v1/flip', undefined, 404, 'ORK_NOT_FOUND'],
    ['GET', '/', undefined, 404, 'ORK_NOT_FOUND'],
  ];
  for (const [method, path, body, status, code] of calls) {
    const answer = await proxy.admin(method, path, body);
    assert.deepEqual(
      [answer.status, answer.body.code, answer.type],
      [status, code, 'application/problem+json'],
      `${path} ${body?.slice(0, 80)}`,
    );
  }
  for (const bytes of ['\0\x01garbage\r\n\r\n', 'POST /v1/flip HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc']) {
    const socket = createConnection(proxy.adminSocket);
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    socket.write(bytes, () => socket.destroy());
    await once(socket, 'close');
  }
  const table = await proxy.admin('GET', '/v1/table');
  assert.deepEqual([table.status, table.body.upstreams], [200, []]);
});

test('the program prints its version and its usage, and names an invalid setting', async (t) => {
  const folder = await temporaryFolder(t);
  const run = async (argv: string[], env: NodeJS.ProcessEnv = {}): Promise<[number | null, string]> => {
    const { child, output } = start(t, argv, env);
    await once(child, 'close');
    return [child.exitCode, output()];
  };
  assert.match((await run(['--version']))[1], /^\d+\.\d+\.\d+\n$/);
  const [code, help] = await run(['--help']);
  assert.equal(code, 0);
  assert.match(help, /Examples:/);
  const [failed, message] = await run(['serve'], { ...environment(folder), ORKESTR_PROXY_LISTEN: 'everywhere' });
  assert.deepEqual([failed, /^ORK_CONFIG: .*ORKESTR_PROXY_LISTEN/.test(message)], [1, true]);
  assert.equal((await run(['dance']))[0], 1);
});

test('an address in use yields a coded error', async (t) => {
  const folder = await temporaryFolder(t);
  const first = await serve(t, folder);
  const other = await temporaryFolder(t);
  const second = start(t, ['serve'], { ...environment(other), ORKESTR_PROXY_LISTEN: `127.0.0.1:${first.port}` });
  await eventually('the refusal', second.over);
  await eventually('its message', () => second.output().includes('ORK_CONFIG'));
  assert.equal(second.child.exitCode, 1);
  await assert.rejects(copyFile(join(other, 'admin.sock'), join(other, 'copy')), { code: 'ENOENT' });
});

test('a proxy whose log is not read still serves, and exits', async (t) => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'log');
  assert.equal(spawnSync('mkfifo', ['--', path]).status, 0);
  const pipe = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  t.after(() => closeSync(pipe));
  assert.throws(() => {
    for (;;) writeSync(pipe, Buffer.alloc(4096, 'x'));
  }, /EAGAIN/);
  // Blocking, as a shell or a supervisor passes it on.
  const stdout = openSync(path, 'r+');
  t.after(() => closeSync(stdout));
  const [program, ...argv] = proxyArgv();
  const child = spawn(program, [...argv, 'serve'], {
    env: environment(folder),
    stdio: ['ignore', stdout, 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  const adminSocket = join(folder, 'admin.sock');
  await eventually('its admin socket', () => existsSync(adminSocket));
  const upstream = await scriptedUpstream(t);
  const flip = JSON.stringify({ entry: entryFor(upstream.port), expectedGeneration: 0 });
  assert.equal((await callAdmin(adminSocket, 'POST', '/v1/flip', flip)).status, 200);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  assert.equal(code, 0);
});

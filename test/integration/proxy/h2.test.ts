/** HTTP/2 clients through the front: what they get and what the app sees, with scripted apps over HTTP/1.1. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { EdgeSettings } from '../../../protocol/edge.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { CLOSED_PORT } from '../../harness/free-port.ts';
import { answering, entryFor, eventually, listen, OK, scriptedUpstream, temporaryFolder, uuid } from './harness.ts';
import { ask, reply, startHttp2Edge } from './h2-harness.ts';
import type { Http2Edge } from './h2-harness.ts';
import { stuckPort } from './stuck.ts';
import type { TestContext } from 'node:test';
import type { ScriptedUpstream, Wire } from './harness.ts';

async function lab(
  t: TestContext,
  onConnection?: (wire: Wire, index: number) => void,
): Promise<{ edge: Http2Edge; app: ScriptedUpstream }> {
  const app = await scriptedUpstream(t, onConnection);
  const edge = await startHttp2Edge(t);
  edge.plane.put(entryFor(app.port));
  return { edge, app };
}

test("a request reaches the app as HTTP/1.1 with the proxy's fields, and its response is returned", async (t) => {
  const { edge, app } = await lab(
    t,
    answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-App: yes\r\nConnection: keep-alive\r\n\r\nok'),
  );
  const session = await edge.connect();
  const answer = await ask(session, {
    ':path': '/a/b?c=d',
    cookie: ['one=1', 'two=2'],
    'x-forwarded-for': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
    x_real_ip: 'spoofed',
    accept: 'text/plain',
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.text, 'ok');
  assert.equal(answer.headers['x-app'], 'yes');
  assert.match(String(answer.headers.date), / GMT$/, 'which the app has not said');
  assert.equal(answer.headers.connection, undefined);
  const head = app.wires[0]?.received ?? '';
  assert.match(head, /^GET \/a\/b\?c=d HTTP\/1\.1\r\n/);
  assert.match(head, /\r\nhost: app\.test\r\n/);
  assert.match(head, /\r\ncookie: one=1; two=2\r\n/);
  assert.match(head, /\r\nx-forwarded-for: 127\.0\.0\.1\r\n/);
  assert.match(head, /\r\nx-forwarded-proto: https\r\n/);
  assert.match(head, /\r\nforwarded: for=127\.0\.0\.1;host="app\.test";proto=https\r\n/);
  assert.match(head, /\r\nx-request-id: \S+\r\n/);
  assert.doesNotMatch(head, /6\.6\.6\.6|x_real|:path/);
  await eventually('the observer hears of it', () => edge.seen.length === 1);
  assert.deepEqual(edge.seen[0], {
    method: 'GET',
    status: 200,
    outcome: 'served',
    targetId: entryFor(1).targets[0]?.id,
    bytesIn: 0,
    bytesOut: 2,
    httpVersion: '2',
    engine: 'h2',
  });
});

test('a body of unknown length is chunked for the app, and trailers pass both ways', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const stream = session.request(
    { ':authority': 'app.test', ':path': '/', ':method': 'POST' },
    { waitForTrailers: true },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7', host: 'evil.test' }));
  const answer = reply(stream);
  stream.write('hello ');
  const wire = await app.wire(0);
  await wire.sees('hello ');
  stream.end('world');
  const got = await wire.sees(/0\r\n.*\r\n\r\n$/s);
  assert.match(got, /\r\ntransfer-encoding: chunked\r\n/);
  assert.match(got, /6\r\nhello \r\n5\r\nworld\r\n0\r\nx-sum: 7\r\n\r\n$/);
  assert.doesNotMatch(got, /evil/);
  wire.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Check: fine\r\n\r\n');
  const { status, text, trailers } = await answer;
  assert.equal(status, 200);
  assert.equal(text, 'ab');
  assert.equal(trailers['x-check'], 'fine');
});

test('a body of declared length keeps its length', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const answer = ask(session, { ':method': 'POST', 'content-length': 5 }, 'hello');
  const wire = await app.wire(0);
  const got = await wire.sees(/hello$/);
  assert.match(got, /\r\ncontent-length: 5\r\n/);
  assert.doesNotMatch(got, /transfer-encoding/);
  wire.send(OK);
  assert.equal((await answer).text, 'ok');
});

test('HEAD, 204 and 304 have no body, whatever their fields say', async (t) => {
  const answers = [
    'HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n',
    'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\nETag: "x"\r\n\r\n',
  ];
  let next = 0;
  const { edge } = await lab(t, (wire) => wire.socket.on('data', () => void wire.send(answers[next++] ?? '')));
  const session = await edge.connect();
  const head = await ask(session, { ':method': 'HEAD' });
  assert.deepEqual([head.status, head.text, head.headers['content-length']], [200, '', '500']);
  const none = await ask(session, {});
  assert.deepEqual([none.status, none.text, none.headers['content-length']], [204, '', undefined]);
  const same = await ask(session, {});
  assert.deepEqual([same.status, same.text, same.headers.etag], [304, '', '"x"']);
});

test('an app that aborts after its head resets the stream instead of ending it cleanly', async (t) => {
  const broken = [
    'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\nzz\r\n',
  ];
  let next = 0;
  const { edge } = await lab(t, (wire) =>
    wire.socket.on('data', () => {
      wire.send(broken[next++] ?? '');
      wire.socket.end();
    }),
  );
  const session = await edge.connect();
  for (const _ of broken) await assert.rejects(ask(session, {}), /INTERNAL_ERROR|reset: 2/);
  await eventually('three failures', () => edge.seen.filter(({ outcome }) => outcome === 'failed').length === 3);
});

test('an app that is down or answers garbage yields a 502 page', async (t) => {
  const { edge, app } = await lab(t, answering('FTP/1.1 200 OK\r\n\r\n'));
  const session = await edge.connect();
  const garbage = await ask(session, { accept: 'text/html' });
  assert.equal(garbage.status, 502);
  assert.match(garbage.text, /<!doctype html>.*ORK_APP_UNREACHABLE/s);
  await app.close();
  assert.equal((await ask(session, {})).status, 502);
  edge.plane.put(entryFor(app.port, { edge: EdgeSettings.parse({ errorPages: { '502': '<h1>Back soon</h1>' } }) }));
  assert.equal((await ask(session, { accept: 'text/html' })).text, '<h1>Back soon</h1>');
  await eventually('all to be told of', () => edge.seen.length === 3);
  assert.equal(edge.seen.at(-1)?.engine, 'h2');
});

test('a client that resets its stream closes the connection to the app', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST' });
  stream.on('error', () => undefined);
  stream.write('some');
  const wire = await app.wire(0);
  await wire.sees('some');
  stream.close(8);
  await wire.end();
  await eventually('it counts as abandoned', () => edge.seen[0]?.outcome === 'abandoned');
});

test('a response before the end of the request is passed on', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST' });
  stream.write('first');
  const answer = reply(stream);
  const wire = await app.wire(0);
  await wire.sees('first');
  wire.send('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig');
  const { status, text } = await answer;
  assert.deepEqual([status, text], [413, 'big']);
});

test('an unknown host yields 404', async (t) => {
  const { edge } = await lab(t);
  const session = await edge.connect();
  assert.equal((await ask(session, { ':authority': 'b.test' })).status, 404);
  await eventually('the observer hears of it', () => edge.seen[0]?.status === 404);
});

test('large bodies pass both ways', async (t) => {
  const { edge, app } = await lab(t);
  const session = await edge.connect();
  const size = 8 * 1024 * 1024;
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST', 'content-length': size });
  const answer = reply(stream);
  stream.end(Buffer.alloc(size, 'x'));
  const wire = await app.wire(0);
  await eventually('the whole body', () => wire.received.length > size);
  wire.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
  wire.socket.write(Buffer.alloc(size, 'y'));
  assert.equal((await answer).text.length, size);
});

test('curl sends and gets bodies unchanged over HTTP/2', async (t) => {
  const edge = await startHttp2Edge(t);
  const app = createServer((req, res) => {
    const hash = createHash('sha256');
    req.on('data', (bytes: Buffer) => hash.update(bytes)).on('end', () => res.end(hash.digest('hex')));
  });
  const port = await listen(app);
  t.after(() => app.close());
  edge.plane.put(entryFor(port));
  const folder = await temporaryFolder(t);
  const [ca, body] = [join(folder, 'ca.pem'), join(folder, 'body')];
  await writeFile(ca, edge.cert);
  const bytes = randomBytes(3_000_000);
  await writeFile(body, bytes);
  const to = ['--resolve', `app.test:${edge.port}:127.0.0.1`, `https://app.test:${edge.port}/`];
  for (const chunked of [[], ['-H', 'Transfer-Encoding: chunked'], ['-H', 'Expect: 100-continue']]) {
    const argv = [
      '-sS',
      '--http2',
      '--cacert',
      ca,
      '-w',
      ' %{http_version}',
      '--data-binary',
      `@${body}`,
      ...chunked,
      ...to,
    ];
    const { stdout } = await promisify(execFile)('curl', argv);
    assert.equal(stdout, `${createHash('sha256').update(bytes).digest('hex')} 2`);
  }
});

test('all requests of h2load succeed during flips', async (t) => {
  const edge = await startHttp2Edge(t);
  const apps = await Promise.all([1, 2].map(() => scriptedUpstream(t, answering(OK))));
  const entry = (generation: number): UpstreamEntry => {
    const targets = [{ id: uuid(1000 + generation), address: '127.0.0.1', port: apps[generation % 2]?.port ?? 0 }];
    return entryFor(0, { generation, targets });
  };
  edge.plane.put(entry(1));
  const argv = [
    '-n',
    '3000',
    '-c',
    '4',
    '-m',
    '16',
    '--header',
    ':authority: app.test',
    `https://127.0.0.1:${edge.port}/`,
  ];
  const load = promisify(execFile)('h2load', argv);
  let generation = 1;
  const flips = setInterval(() => edge.plane.put(entry((generation += 1))), 10);
  t.after(() => clearInterval(flips));
  const { stdout } = await load;
  assert.match(stdout, /3000 succeeded, 0 failed, 0 errored, 0 timeout/);
  assert.match(stdout, /3000 2xx/);
  assert.ok(generation > 3);
});

test('large bodies of many concurrent streams all arrive, both ways and through small windows', async (t) => {
  const edge = await startHttp2Edge(t);
  const server = createServer((req, res) => {
    req.resume().on('end', () => {
      res.setHeader('trailer', 'x-end');
      res.addTrailers({ 'x-end': 'yes' });
      res.end(Buffer.alloc(200_000, 'x'));
    });
  });
  const port = await listen(server);
  t.after(() => server.close());
  edge.plane.put(entryFor(port));
  const body = join(await temporaryFolder(t), 'body');
  await writeFile(body, Buffer.alloc(100_000, 'y'));
  for (const more of [[], ['-d', body], ['-w', '12', '-W', '14']]) {
    const argv = [
      '-n',
      '300',
      '-c',
      '5',
      '-m',
      '50',
      ...more,
      '-H',
      ':authority: app.test',
      `https://127.0.0.1:${edge.port}/`,
    ];
    const { stdout } = await promisify(execFile)('h2load', argv, { timeout: 60_000 });
    assert.match(stdout, /300 succeeded, 0 failed, 0 errored, 0 timeout/);
    assert.match(stdout, /\(60000000\) data/);
  }
  assert.ok(edge.seen.every(({ outcome }) => outcome === 'served'));
});

test('bodies above the limit of the app yield 413, declared or not', async (t) => {
  const { edge, app } = await lab(t);
  edge.plane.put(entryFor(app.port, { generation: 2, edge: EdgeSettings.parse({ maxBodyBytes: 1000 }) }));
  const session = await edge.connect();
  const declared = await ask(session, { ':method': 'POST', 'content-length': 2000 }, Buffer.alloc(2000));
  assert.equal(declared.status, 413);
  assert.equal(app.wires.length, 0);
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST' });
  const counted = reply(stream);
  stream.write(Buffer.alloc(500));
  const wire = await app.wire(0);
  stream.end(Buffer.alloc(1500));
  assert.equal((await counted).status, 413);
  await wire.end();
});

test('a silent app yields 504, and a client that stalls in its body gets 408', async (t) => {
  const app = await scriptedUpstream(t);
  const edge = await startHttp2Edge(t, { timeouts: { responseHeadMs: 150 } });
  edge.plane.put(entryFor(app.port));
  const session = await edge.connect();
  const silent = await ask(session, {});
  assert.equal(silent.status, 504);
  const stream = session.request({ ':authority': 'app.test', ':path': '/', ':method': 'POST', 'content-length': 10 });
  stream.write('12345');
  assert.equal((await reply(stream)).status, 408);
});

test('a POST is sent once, even if the app drops it, and another copy serves a request that one refused', async (t) => {
  const { edge, app } = await lab(t, (wire) => wire.socket.on('data', () => wire.socket.destroy()));
  const session = await edge.connect();
  assert.equal((await ask(session, { ':method': 'POST' }, 'once')).status, 502);
  assert.equal(app.wires.length, 1);
  const alive = await scriptedUpstream(t, answering(OK));
  const targets = [CLOSED_PORT, alive.port].map((port) => ({ id: uuid(1005), address: '127.0.0.1', port }));
  edge.plane.put(entryFor(0, { generation: 2, targets }));
  for (let round = 0; round < 4; round += 1) assert.equal((await ask(session, {})).status, 200);
});

test('if one copy accepts no connection another one gets the request, and without another it yields 504', async (t) => {
  const edge = await startHttp2Edge(t, { timeouts: { connectMs: 50 } });
  const stuck = await stuckPort(t);
  const alive = await scriptedUpstream(t, answering(OK));
  const targets = [stuck, alive.port].map((port) => ({ id: uuid(1005), address: '127.0.0.1', port }));
  edge.plane.put(entryFor(0, { targets }));
  const session = await edge.connect();
  assert.equal((await ask(session, {})).status, 200);
  assert.equal(edge.plane.routesOf('app.test')?.find('/')?.upstream.targets()[0]?.refusals, 1);
  edge.plane.put(entryFor(stuck, { generation: 2 }));
  assert.equal((await ask(session, {})).status, 504);
});

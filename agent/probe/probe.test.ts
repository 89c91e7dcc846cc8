import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { HealthCheck } from '../../protocol/job.ts';
import { CLOSED_PORT } from '../../test/harness/free-port.ts';
import { resolveCheck, tryOnce } from './index.ts';
import type { ProbeResult, ProbeSubject } from './index.ts';

/** Only a server that never responds takes this long. */
const TIMEOUT_MS = 30_000;

async function listen(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => void sockets.add(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const http = (t: TestContext, listener: RequestListener): Promise<number> => listen(t, createHttpServer(listener));
const tcp = (t: TestContext, onSocket: (socket: Socket) => void): Promise<number> => {
  const server = createServer((socket) => {
    socket.on('error', () => undefined); // the probe may close the connection before the server has responded
    onSocket(socket);
  });
  return listen(t, server);
};

const unscripted = async (): Promise<never> => {
  throw new Error('unscripted');
};

function subjectAt(port: number, parts: Partial<ProbeSubject> = {}): ProbeSubject {
  return {
    address: '127.0.0.1',
    port,
    host: undefined,
    imageHealth: unscripted,
    exec: unscripted,
    monotonic: () => performance.now(),
    ...parts,
  };
}

type CheckInput = Parameters<typeof HealthCheck.parse>[0];

function probing(input: CheckInput): Parameters<typeof resolveCheck>[0] {
  const check = HealthCheck.parse(input);
  assert.ok(check.kind !== 'running', 'running only waits');
  return check;
}

function probe(
  check: CheckInput,
  subject: ProbeSubject,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<ProbeResult> {
  const parsed = resolveCheck(probing(check), false);
  const { timeoutMs = TIMEOUT_MS, signal = new AbortController().signal } = options;
  return tryOnce(parsed, subject, timeoutMs, signal);
}

describe('probe http', () => {
  test('a status in the range is a success, and the result says what it got', async (t) => {
    const port = await http(t, (_request, response) => response.end('hello'));
    const { ok, got } = await probe({ kind: 'http', path: '/ready' }, subjectAt(port));
    assert.equal(ok, true);
    assert.match(got, /^HTTP 200 from GET \/ready in \d+ ms$/);
  });

  test('a status outside the range is a failure, and the result names the status and the range', async (t) => {
    const port = await http(t, (_request, response) => response.writeHead(404).end());
    const { ok, got } = await probe({ kind: 'http', status: [200, 299] }, subjectAt(port));
    assert.equal(ok, false);
    assert.match(got, /HTTP 404 .*expected 200 to 299/);
  });

  test('a redirect counts as the answer and is not followed', async (t) => {
    const seen: unknown[] = [];
    const port = await http(t, (request, response) => {
      seen.push(request.url);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    const { got } = await probe({ kind: 'http' }, subjectAt(port));
    assert.match(got, /HTTP 302/);
    assert.deepEqual(seen, ['/']);
  });

  test('the Host header is that of the environment', async (t) => {
    let host: string | undefined;
    const port = await http(t, (request, response) => {
      ({ host } = request.headers);
      response.end();
    });
    await probe({ kind: 'http' }, subjectAt(port, { host: 'shop.example' }));
    assert.equal(host, 'shop.example');
  });

  test('an answer whose body never ends is judged by its status', async (t) => {
    const port = await http(t, (_request, response) => void response.writeHead(200).write('and so on'));
    assert.equal((await probe({ kind: 'http' }, subjectAt(port))).ok, true);
  });

  test('a refused connection is a failure, and the result says so', async () => {
    const { ok, got } = await probe({ kind: 'http' }, subjectAt(CLOSED_PORT));
    assert.deepEqual({ ok, got }, { ok: false, got: 'GET /: the connection was refused' });
  });

  test('an app that accepts the connection and stays silent is a failure: no answer in time', async (t) => {
    const port = await tcp(t, () => undefined);
    const { ok, got } = await probe({ kind: 'http' }, subjectAt(port), { timeoutMs: 50 });
    assert.deepEqual({ ok, got }, { ok: false, got: 'no answer to GET / within 50 ms' });
  });

  test('an app that closes the connection without an answer is a failure', async (t) => {
    const port = await tcp(t, (socket) => socket.once('data', () => socket.end()));
    const { ok, got } = await probe({ kind: 'http' }, subjectAt(port));
    assert.equal(ok, false);
    assert.match(got, /closed without an answer/);
  });

  test('an app that resets the connection is a failure', async (t) => {
    const port = await tcp(t, (socket) => socket.once('data', () => socket.resetAndDestroy()));
    const { ok, got } = await probe({ kind: 'http' }, subjectAt(port));
    assert.equal(ok, false);
    assert.match(got, /reset|closed without an answer/);
  });

  test('an app that does not speak HTTP is a failure, and the result says so', async (t) => {
    const port = await tcp(t, (socket) => socket.write('-ERR unknown command\r\n'));
    const { ok, got } = await probe({ kind: 'http' }, subjectAt(port));
    assert.equal(ok, false);
    assert.match(got, /not HTTP/);
  });

  test('an abort by the caller throws instead of returning a result', async (t) => {
    const port = await tcp(t, () => undefined);
    const cancel = new AbortController();
    const running = probe({ kind: 'http' }, subjectAt(port), { signal: cancel.signal });
    cancel.abort(new Error('cancelled'));
    await assert.rejects(running, /cancelled/);
  });
});

describe('probe tcp', () => {
  test('a port that accepts is a success', async (t) => {
    const port = await tcp(t, () => undefined);
    const { ok, got } = await probe({ kind: 'tcp' }, subjectAt(port));
    assert.equal(ok, true);
    assert.match(got, new RegExp(`port ${port} accepted`));
  });

  test('a closed port is a failure', async () => {
    const { ok, got } = await probe({ kind: 'tcp' }, subjectAt(CLOSED_PORT));
    assert.deepEqual({ ok, got }, { ok: false, got: `port ${CLOSED_PORT}: the connection was refused` });
  });
});

describe('probe image', () => {
  const health =
    (state: 'starting' | 'healthy' | 'unhealthy' | null, output: string | null = null) =>
    async () => ({ state, output });

  test('a healthy and reachable container is a success', async (t) => {
    const port = await tcp(t, () => undefined);
    assert.equal((await probe({ kind: 'image' }, subjectAt(port, { imageHealth: health('healthy') }))).ok, true);
  });

  test('a healthy but unreachable container is a failure: a HEALTHCHECK runs in the container', async () => {
    const subject = subjectAt(CLOSED_PORT, { imageHealth: health('healthy') });
    const { ok, got } = await probe({ kind: 'image' }, subject);
    assert.equal(ok, false);
    assert.match(got, /healthy; port \d+: the connection was refused/);
  });

  test('an unhealthy container is a failure with the last line of the output', async () => {
    const subject = subjectAt(1, { imageHealth: health('unhealthy', 'one\ncurl: (7) refused\n') });
    const { ok, got } = await probe({ kind: 'image' }, subject);
    assert.deepEqual({ ok, got }, { ok: false, got: 'HEALTHCHECK of the image: unhealthy, "curl: (7) refused"' });
  });

  test('an image without HEALTHCHECK fails and says so', async () => {
    const { ok, got } = await probe({ kind: 'image' }, subjectAt(1, { imageHealth: health(null) }));
    assert.deepEqual({ ok, got }, { ok: false, got: 'the image has no HEALTHCHECK' });
  });
});

describe('probe command', () => {
  test('exit code 0 of a reachable app is a success, and the argv and the time limit are passed unchanged', async (t) => {
    const port = await tcp(t, () => undefined);
    const calls: unknown[] = [];
    const exec = async (...call: unknown[]) => {
      calls.push(call);
      return { exitCode: 0, output: '' };
    };
    assert.equal((await probe({ kind: 'command', argv: ['check', '--deep'] }, subjectAt(port, { exec }))).ok, true);
    assert.deepEqual(calls, [[['check', '--deep'], TIMEOUT_MS]]);
  });

  test('another exit code is a failure with the last line of the output', async () => {
    const exec = async () => ({ exitCode: 7, output: 'no migration\n' });
    const { ok, got } = await probe({ kind: 'command', argv: ['check'] }, subjectAt(1, { exec }));
    assert.deepEqual({ ok, got }, { ok: false, got: 'command check exited with 7, "no migration"' });
  });
});

describe('the check auto', () => {
  const auto = probing({ kind: 'auto', startSeconds: 7 });

  test("is the image's HEALTHCHECK when there is one", () => {
    assert.equal(resolveCheck(auto, true).kind, 'image');
  });

  test('is otherwise GET / with any status below 500 and the same times', () => {
    const check = resolveCheck(auto, false);
    assert.deepEqual(
      { ...check },
      {
        kind: 'http',
        path: '/',
        status: [100, 499],
        startSeconds: 7,
        intervalSeconds: 0.5,
        timeoutSeconds: 5,
        successes: 2,
      },
    );
  });
});

import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import { HealthCheck } from '../../../protocol/job.ts';
import { systemClock } from '../../lib/clock.ts';
import type { Clock, ContainerRuntime, Ports } from '../ports.ts';
import { aContext, aJob, IDS, scripted, VirtualClock } from '../test-context.ts';
import { containerOf } from '../test-container.ts';
import { freePort } from '../../../test/harness/free-port.ts';
import { health } from './health.ts';

const NAME = `orkestr-${IDS.deployment}`;

const running = containerOf(IDS.deployment, { address: '127.0.0.1' });

/** A port that accepts connections, as an app that is up has it. */
async function openPort(t: TestContext): Promise<number> {
  const server = createServer((socket) => void socket.on('error', () => undefined).resume()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

interface Scene {
  readonly port?: number;
  readonly portGuessed?: boolean;
  readonly containers: Partial<ContainerRuntime>;
  readonly check?: Parameters<typeof HealthCheck.parse>[0];
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly hasHealthcheck?: boolean;
}

function contextOf({
  port = 8080,
  portGuessed = true,
  containers,
  check,
  clock = new VirtualClock(),
  signal,
  hasHealthcheck = false,
}: Scene) {
  const healthCheck = HealthCheck.parse(check ?? { kind: 'command', argv: ['ready'], startSeconds: 60 });
  return aContext({
    job: aJob({ settings: { healthCheck } }),
    ports: { clock, containers: scripted<Ports['containers']>('containers', containers) },
    outputs: {
      build: {
        id: `sha256:${'a'.repeat(64)}`,
        reference: 'r',
        bytes: 1,
        baseImages: {},
        peakMemoryBytes: null,
        exposedPorts: [],
        hasHealthcheck,
      },
      deploy: {
        containerId: 'c0ffee',
        containerName: NAME,
        address: '127.0.0.1',
        port,
        portFrom: 'default',
        portGuessed,
      },
    },
    ...(signal && { signal }),
  });
}

/** Exit codes of the probe's command, one per try; the last one stays. */
function exits(...codes: number[]): ContainerRuntime['exec'] {
  return async () => ({ exitCode: (codes.length > 1 ? codes.shift() : codes[0]) ?? 0, output: '' });
}

describe('the step health', () => {
  describe('when the app opens another port than the guessed one', () => {
    const check = { kind: 'tcp', startSeconds: 30, timeoutSeconds: 1 } as const;
    const listening = (...ports: number[]): Partial<ContainerRuntime> => ({
      inspect: async () => running,
      listeners: async () => ports.map((port) => ({ address: '0.0.0.0', port })),
      tail: async () => [],
    });
    /** A port that nothing listens on. */
    const CLOSED = 1;

    test('and only that one, it is probed from then on, and the report and the log say so', async (t) => {
      const open = await openPort(t);
      const context = contextOf({ port: CLOSED, check, containers: listening(open) });
      const report = await health.run(context);
      assert.equal(report.foundPort, open);
      assert.ok(
        context.lines.some((line) => line.includes(`port 1 was a guess (default), and the app opened only ${open}`)),
      );
    });

    test('but the port was said by somebody, that is not overruled', async (t) => {
      const open = await openPort(t);
      const context = contextOf({ port: CLOSED, portGuessed: false, check, containers: listening(open) });
      await assert.rejects(health.run(context), { code: 'ORK_PORT_WRONG' });
    });

    test('and a third one, none is taken', async (t) => {
      const context = contextOf({ port: CLOSED, check, containers: listening(await openPort(t), 9229) });
      await assert.rejects(health.run(context), { code: 'ORK_PORT_WRONG' });
    });

    test('long before the guessed one, as a helper does, the guessed one is probed again once it is open', async (t) => {
      const app = createServer((socket) => void socket.on('error', () => undefined).resume());
      const port = await freePort();
      let looks = 0;
      const listeners: ContainerRuntime['listeners'] = async () => {
        looks += 1;
        if (looks === 5) {
          await once(app.listen(port, '127.0.0.1'), 'listening');
          t.after(() => app.close());
        }
        return [CLOSED, ...(looks < 5 ? [] : [port])].map((open) => ({ address: '0.0.0.0', port: open }));
      };
      const context = contextOf({ port, check, containers: { ...listening(), listeners } });
      const report = await health.run(context);
      assert.equal(report.foundPort, null);
      assert.ok(context.lines.includes(`port ${port} is open now: going back from ${CLOSED} to it`));
    });

    test('and another one at each look, none is taken before it stays', async (t) => {
      const open = await openPort(t);
      const seen = [9229, 9230, open];
      const listeners: ContainerRuntime['listeners'] = async () => [
        { address: '0.0.0.0', port: (seen.length > 1 ? seen.shift() : seen[0]) ?? open },
      ];
      const report = await health.run(contextOf({ port: CLOSED, check, containers: { ...listening(), listeners } }));
      assert.deepEqual([report.foundPort, report.attempts > 5], [open, true]);
    });
  });

  test('is done after the successes in a row that the check asks for', async (t) => {
    const port = await openPort(t);
    const report = await health.run(
      contextOf({
        port,
        check: { kind: 'command', argv: ['ready'], successes: 3 },
        containers: { inspect: async () => running, exec: exits(0), listeners: async () => [{ address: '::', port }] },
      }),
    );
    assert.equal(report.attempts, 3);
    assert.equal(report.probe, 'command');
    assert.deepEqual(report.listeners, [{ address: '::', port }]);
  });

  test('an app that is up soon is seen soon, and one that is not is asked no more often than the interval says', async (t) => {
    const port = await openPort(t);
    const upAfter = async (ms: number): Promise<{ readonly late: number; readonly attempts: number }> => {
      const clock = new VirtualClock();
      const exec = async () => ({ exitCode: clock.monotonic() < ms ? 1 : 0, output: '' });
      // The watch on the container never answers, so that time only passes between the probes.
      const inspect = () => new Promise<null>(() => undefined);
      const containers = { inspect, exec, listeners: async () => [] };
      const check = { kind: 'command', argv: ['ready'], startSeconds: 60, intervalSeconds: 0.5 };
      const report = await health.run(contextOf({ port, clock, check, containers }));
      return { late: report.ms - ms, attempts: report.attempts };
    };
    const soon = await upAfter(400);
    assert.ok(soon.late < 250, `${soon.late} ms late`);
    const never = await upAfter(40_000);
    assert.ok(never.late <= 1000 && never.attempts < 125, `${never.late} ms late, ${never.attempts} probes`);
  });

  test('an app is found up a tenth of its start late at most', async (t) => {
    const port = await openPort(t);
    const lateAfter = async (startMs: number): Promise<number> => {
      const clock = new VirtualClock();
      let first: number | null = null;
      const exec = async () => {
        if (clock.monotonic() < startMs) return { exitCode: 1, output: '' };
        first ??= clock.monotonic();
        return { exitCode: 0, output: '' };
      };
      // The watch on the container never answers, so that time only passes between the probes.
      const inspect = () => new Promise<null>(() => undefined);
      const containers = { inspect, exec, listeners: async () => [] };
      await health.run(contextOf({ port, clock, check: { kind: 'command', argv: ['ready'] }, containers }));
      return (first ?? Infinity) - startMs;
    };
    for (const startMs of [101, 320, 777, 1500, 2300, 3500, 6400]) {
      const late = await lateAfter(startMs);
      assert.ok(late <= startMs * 0.1, `${late} ms after ${startMs}`);
    }
  });

  test('two good probes are 25 ms apart, and a fifth of the start where that took longer', async (t) => {
    const port = await openPort(t);
    const gapAfter = async (startMs: number): Promise<number> => {
      const clock = new VirtualClock();
      const good: number[] = [];
      const exec = async () => {
        if (clock.monotonic() < startMs) return { exitCode: 1, output: '' };
        good.push(clock.monotonic());
        return { exitCode: 0, output: '' };
      };
      // The watch on the container never answers, so that time only passes between the probes.
      const inspect = () => new Promise<null>(() => undefined);
      const containers = { inspect, exec, listeners: async () => [] };
      await health.run(contextOf({ port, clock, check: { kind: 'command', argv: ['ready'] }, containers }));
      const [first = 0, second = 0] = good;
      return Math.round(second - first);
    };
    assert.equal(await gapAfter(0), 25);
    assert.ok((await gapAfter(2000)) >= 400);
  });

  test('an app that answers every other request with 500 is not healthy', async (t) => {
    let requests = 0;
    const enough = new AbortController();
    const app = createHttpServer((_, response) => {
      response.writeHead((requests += 1) % 2 === 0 ? 500 : 200).end();
      if (requests === 8) enough.abort(new Error('it was asked often enough'));
    });
    await once(app.listen(0, '127.0.0.1'), 'listening');
    t.after(() => app.close());
    const { port } = app.address() as AddressInfo;
    const containers = { inspect: async () => running, listeners: async () => [], tail: async () => [] };
    const check = { kind: 'http', path: '/', intervalSeconds: 0.1 };
    const context = contextOf({ port, check, containers, clock: systemClock, signal: enough.signal });
    await assert.rejects(health.run(context), { message: 'it was asked often enough' });
  });

  test('reads what the app has open while it waits for the next good probe, and again after a bad one', async (t) => {
    const told: string[] = [];
    const exec = exits(0, 1, 0, 0);
    const report = await health.run(
      contextOf({
        port: await openPort(t),
        portGuessed: false,
        check: { kind: 'command', argv: ['ready'], successes: 2 },
        containers: {
          inspect: async () => running,
          async exec(...args) {
            const tried = await exec(...args);
            told.push(`exit ${tried.exitCode}`);
            return tried;
          },
          async listeners() {
            told.push('sockets');
            return [{ address: '::', port: told.length }];
          },
        },
      }),
    );
    assert.deepEqual(told, ['exit 0', 'sockets', 'exit 1', 'exit 0', 'sockets', 'exit 0']);
    assert.deepEqual(report.listeners, [{ address: '::', port: 5 }]);
  });

  test('starts to count again after a failure: a flapping app is not healthy', async (t) => {
    const port = await openPort(t);
    const report = await health.run(
      contextOf({
        port,
        check: { kind: 'command', argv: ['ready'], successes: 2 },
        containers: { inspect: async () => running, exec: exits(1, 0, 1, 0, 0), listeners: async () => [] },
      }),
    );
    assert.equal(report.attempts, 5);
  });

  test('says why when the time is up, with sockets, probe and log lines', async () => {
    const clock = new VirtualClock();
    const context = contextOf({
      clock,
      check: { kind: 'command', argv: ['ready'], startSeconds: 30 },
      containers: {
        inspect: async () => running,
        exec: exits(1),
        listeners: async () => [{ address: '127.0.0.1', port: 8080 }],
        tail: async (name, lines) => [`${name} ${lines}`],
      },
    });
    await assert.rejects(health.run(context), (error: unknown) => {
      assert.ok(error instanceof OrkestrError);
      assert.equal(error.code, 'ORK_PORT_LOOPBACK');
      assert.ok(error.evidence.includes('last probe: command ready exited with 1'));
      assert.ok(error.evidence.includes(`app: ${NAME} 100`));
      return true;
    });
    assert.ok(clock.monotonic() >= 30_000 && clock.monotonic() < 32_000, `ended at ${clock.monotonic()} ms`);
  });

  test('a budget of one second is enough for an app that is up', async (t) => {
    const port = await openPort(t);
    const check = { kind: 'command', argv: ['ready'], startSeconds: 1, intervalSeconds: 0.1 };
    // The watch on the container never answers, so that time only passes between the probes.
    const inspect = () => new Promise<null>(() => undefined);
    const containers = { inspect, exec: exits(0), listeners: async () => [] };
    const report = await health.run(contextOf({ port, check, containers }));
    assert.equal(report.attempts, 2);
  });

  test('a last probe that has hardly any time left does not hide what the one before it got', async () => {
    const clock = new VirtualClock();
    const context = contextOf({
      clock,
      check: { kind: 'command', argv: ['ready'], startSeconds: 1.2, intervalSeconds: 1 },
      containers: {
        inspect: async () => running,
        exec: async () => ({ exitCode: clock.monotonic() < 200 ? 1 : 2, output: '' }),
        listeners: async () => [],
        tail: async () => [],
      },
    });
    await assert.rejects(health.run(context), (error: unknown) => {
      assert.ok(error instanceof OrkestrError);
      assert.ok(error.evidence.includes('last probe: command ready exited with 1'), error.evidence.join('\n'));
      return true;
    });
  });

  test('sees an exit at once, though a probe hangs and the budget is an hour', async () => {
    const clock = new VirtualClock();
    const context = contextOf({
      clock,
      check: { kind: 'command', argv: ['ready'], startSeconds: 3600, timeoutSeconds: 60, intervalSeconds: 300 },
      containers: {
        inspect: async () =>
          clock.monotonic() < 2000 ? running : { ...running, running: false, exitCode: 3, address: null },
        exec: () => new Promise(() => undefined),
        tail: async () => ['fatal: no database'],
      },
    });
    await assert.rejects(health.run(context), { code: 'ORK_APP_EXITED', message: /exit code 3.*fatal: no database/ });
    assert.equal(clock.monotonic(), 2000);
  });

  test('tells a kill for memory with the limit', async () => {
    const stopped = { ...running, running: false, exitCode: 137, oomKilled: true };
    const containers = { inspect: async () => stopped, exec: exits(1), tail: async () => [] };
    await assert.rejects(health.run(contextOf({ containers })), { code: 'ORK_APP_MEMORY', message: /512 MiB/ });
  });

  test('tells a killed worker too, when the app goes on without it and never gets healthy', async () => {
    const containers = {
      inspect: async () => ({ ...running, oomKilled: true }),
      exec: exits(1),
      tail: async () => ['worker 7 died'],
    };
    await assert.rejects(health.run(contextOf({ containers })), { code: 'ORK_APP_MEMORY' });
  });

  test('a cancel ends it with the reason of the signal', async () => {
    const cancel = new AbortController();
    const clock = new VirtualClock();
    const context = contextOf({
      clock,
      signal: cancel.signal,
      containers: {
        inspect: async () => {
          if (clock.monotonic() >= 1000) cancel.abort(new OrkestrError('ORK_CANCELLED', 'Cancelled.'));
          return running;
        },
        exec: exits(1),
      },
    });
    await assert.rejects(health.run(context), { code: 'ORK_CANCELLED' });
  });

  test('an engine that fails is not taken for an unhealthy app', async () => {
    const inspect = async (): Promise<never> => {
      throw new OrkestrError('ORK_ENGINE_TIMEOUT', 'silent');
    };
    await assert.rejects(health.run(contextOf({ containers: { inspect, exec: exits(1) } })), {
      code: 'ORK_ENGINE_TIMEOUT',
    });
  });

  test('sockets that cannot be read hide neither the verdict nor themselves', async () => {
    const context = contextOf({
      containers: {
        inspect: async () => running,
        exec: exits(1),
        tail: async () => [],
        listeners: async () => {
          throw new Error('no such process');
        },
      },
    });
    await assert.rejects(health.run(context), { code: 'ORK_UNHEALTHY', message: /command ready exited with 1/ });
    assert.ok(context.lines.some((line) => line.includes('no such process')));
  });

  test('auto takes the HEALTHCHECK of an image that has one', async (t) => {
    const port = await openPort(t);
    const report = await health.run(
      contextOf({
        port,
        hasHealthcheck: true,
        check: { kind: 'auto' },
        containers: {
          inspect: async () => ({ ...running, imageHealth: 'healthy' }),
          listeners: async () => [],
        },
      }),
    );
    assert.equal(report.probe, 'image');
  });

  test('changes nothing, so there is nothing to take back', () => {
    assert.ok(!('undo' in health));
  });
});

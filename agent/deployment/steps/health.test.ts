import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import { VirtualClock } from '../test-clock.ts';
import { health } from './health.ts';
import { contextOf, exits, NAME, openPort, running } from './test-health.ts';

describe('the step health', () => {
  test('gives sockets, probe and log lines as the reason when the time is up', async () => {
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

  test('a budget of one second suffices for an app that is up', async (t) => {
    const port = await openPort(t);
    const check = { kind: 'command', argv: ['ready'], startSeconds: 1, intervalSeconds: 0.1 };
    // Inspecting the container never resolves, so that time only passes between the probes.
    const inspect = () => new Promise<null>(() => undefined);
    const containers = { inspect, exec: exits(0), listeners: async () => [] };
    const report = await health.run(contextOf({ port, check, containers }));
    assert.equal(report.attempts, 2);
  });

  test('a last probe with hardly any time left does not replace the result of the one before', async () => {
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

  test('detects an exit at once, even if a probe hangs and the budget is an hour', async () => {
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
    await assert.rejects(health.run(context), {
      code: 'ORK_APP_EXITED',
      message: /exited with code 3.*fatal: no database/,
    });
    assert.equal(clock.monotonic(), 2000);
  });

  test('reports an out-of-memory kill with the limit', async () => {
    const stopped = { ...running, running: false, exitCode: 137, oomKilled: true };
    const containers = { inspect: async () => stopped, exec: exits(1), tail: async () => [] };
    await assert.rejects(health.run(contextOf({ containers })), { code: 'ORK_APP_MEMORY', message: /512 MiB/ });
  });

  test('reports a worker killed for memory, too, if the app goes on without it and never becomes healthy', async () => {
    const containers = {
      inspect: async () => ({ ...running, oomKilled: true }),
      exec: exits(1),
      tail: async () => ['worker 7 died'],
    };
    await assert.rejects(health.run(contextOf({ containers })), { code: 'ORK_APP_MEMORY' });
  });

  test('a cancel ends the step with the reason of the signal', async () => {
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

  test('a failing engine does not make the app unhealthy', async () => {
    const inspect = async (): Promise<never> => {
      throw new OrkestrError('ORK_ENGINE_TIMEOUT', 'silent');
    };
    await assert.rejects(health.run(contextOf({ containers: { inspect, exec: exits(1) } })), {
      code: 'ORK_ENGINE_TIMEOUT',
    });
  });

  test('unreadable sockets do not hide the verdict, and the log mentions them', async () => {
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

  test('the check auto uses the HEALTHCHECK of an image that has one', async (t) => {
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

  describe('of a worker', () => {
    const check = { kind: 'running', runSeconds: 10 };

    test('passes when the container has run for its time, and connects to nothing', async () => {
      const clock = new VirtualClock();
      // Neither a probe nor a look at its sockets is scripted.
      const context = contextOf({ clock, check, containers: { inspect: async () => running } });
      const report = await health.run(context);
      assert.deepEqual(report, {
        probe: 'running',
        attempts: 1,
        ms: clock.monotonic(),
        last: 'ran for 10 s',
        listeners: [],
        foundPort: null,
      });
      assert.ok(clock.monotonic() >= 10_000 && clock.monotonic() < 11_000, `passed after ${clock.monotonic()} ms`);
    });

    test('fails at once with its last lines if it exits before that', async () => {
      const clock = new VirtualClock();
      const containers = {
        inspect: async () =>
          clock.monotonic() < 4000 ? running : { ...running, running: false, exitCode: 1, address: null },
        tail: async () => ['Error connecting to Redis'],
      };
      await assert.rejects(health.run(contextOf({ clock, check, containers })), {
        code: 'ORK_APP_EXITED',
        message: /exited with code 1 before it was healthy\..*Error connecting to Redis/,
        evidence: ['exit code: 1', 'app: Error connecting to Redis'],
      });
      assert.equal(clock.monotonic(), 4000);
    });

    test('fails if it was started again meanwhile, as Docker does with a live one', async () => {
      const clock = new VirtualClock();
      const containers = {
        inspect: async () => ({ ...running, pid: clock.monotonic() < 4000 ? 41 : 42 }),
        tail: async () => ['Segmentation fault'],
      };
      await assert.rejects(health.run(contextOf({ clock, check, containers })), {
        code: 'ORK_APP_EXITED',
        message: 'The app ended and was started again within 10 s.',
        evidence: ['app: Segmentation fault'],
      });
    });
  });

  test('has no undo, because it changes nothing', () => {
    assert.ok(!('undo' in health));
  });
});

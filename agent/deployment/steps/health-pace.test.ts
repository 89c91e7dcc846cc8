import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { VirtualClock } from '../test-clock.ts';
import { health } from './health.ts';
import { contextOf, exits, openPort, running } from './test-health.ts';

describe('probes of the step health', () => {
  test('succeeds after the number of consecutive successes that the check asks for', async (t) => {
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

  test('detects a fast app quickly, and probes a slow one no more often than the interval allows', async (t) => {
    const port = await openPort(t);
    const upAfter = async (ms: number): Promise<{ readonly late: number; readonly attempts: number }> => {
      const clock = new VirtualClock();
      const exec = async () => ({ exitCode: clock.monotonic() < ms ? 1 : 0, output: '' });
      // Inspecting the container never resolves, so that time only passes between the probes.
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

  test('detects that an app is up with a delay of at most a tenth of its start time', async (t) => {
    const port = await openPort(t);
    const lateAfter = async (startMs: number): Promise<number> => {
      const clock = new VirtualClock();
      let first: number | null = null;
      const exec = async () => {
        if (clock.monotonic() < startMs) return { exitCode: 1, output: '' };
        first ??= clock.monotonic();
        return { exitCode: 0, output: '' };
      };
      // Inspecting the container never resolves, so that time only passes between the probes.
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

  test('two good probes are 25 ms apart, or a fifth of the start time if that is longer', async (t) => {
    const port = await openPort(t);
    const gapAfter = async (startMs: number): Promise<number> => {
      const clock = new VirtualClock();
      const good: number[] = [];
      const exec = async () => {
        if (clock.monotonic() < startMs) return { exitCode: 1, output: '' };
        good.push(clock.monotonic());
        return { exitCode: 0, output: '' };
      };
      // Inspecting the container never resolves, so that time only passes between the probes.
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

  test('reads the open sockets while it waits for the next good probe, and again after a failed one', async (t) => {
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

  test('restarts its count after a failure, so a flapping app is not healthy', async (t) => {
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
});

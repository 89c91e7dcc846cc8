import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { describe, test } from 'node:test';
import type { ContainerRuntime } from '../ports.ts';
import { freePort } from '../../../test/harness/free-port.ts';
import { health } from './health.ts';
import { contextOf, openPort, running } from './test-health.ts';

describe('when the app opens another port than the guessed one', () => {
  const check = { kind: 'tcp', startSeconds: 30, timeoutSeconds: 1 } as const;
  const listening = (...ports: number[]): Partial<ContainerRuntime> => ({
    inspect: async () => running,
    listeners: async () => ports.map((port) => ({ address: '0.0.0.0', port })),
    tail: async () => [],
  });
  /** A port that nothing listens on. */
  const CLOSED = 1;

  test('and no other, it is probed from then on, and the report and the log say so', async (t) => {
    const open = await openPort(t);
    const context = contextOf({ port: CLOSED, check, containers: listening(open) });
    const report = await health.run(context);
    assert.equal(report.foundPort, open);
    assert.ok(
      context.lines.some((line) => line.includes(`port 1 was a guess (default), and the app opened only ${open}`)),
    );
  });

  test('but the port was stated by the user, the stated port is not overruled', async (t) => {
    const open = await openPort(t);
    const context = contextOf({ port: CLOSED, portGuessed: false, check, containers: listening(open) });
    await assert.rejects(health.run(context), { code: 'ORK_PORT_WRONG' });
  });

  test('and a third one, none of them is taken', async (t) => {
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

  test('and a different one at each look, none is taken until one stays', async (t) => {
    const open = await openPort(t);
    const seen = [9229, 9230, open];
    const listeners: ContainerRuntime['listeners'] = async () => [
      { address: '0.0.0.0', port: (seen.length > 1 ? seen.shift() : seen[0]) ?? open },
    ];
    const report = await health.run(contextOf({ port: CLOSED, check, containers: { ...listening(), listeners } }));
    assert.deepEqual([report.foundPort, report.attempts > 5], [open, true]);
  });
});

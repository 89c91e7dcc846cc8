import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { WebSocket } from 'ws';
import { CLOSE_REPLACED } from '../../protocol/agent-link.ts';
import { HostSession, type SessionDeps } from './session.ts';
import { CLOSE_REVOKED } from './sessions.ts';

/** How many of three frames are handled when the session is closed while the hub works on the first. */
async function takenUp(code: number): Promise<number> {
  const nothing = (): void => undefined;
  const socket = Object.assign(new EventEmitter(), { close: nothing, resume: nothing, terminate: nothing });
  const first = Promise.withResolvers<void>();
  let taken = 0;
  const renewLeases = async (): Promise<string[]> => {
    taken += 1;
    await first.promise;
    return [];
  };
  const peer = { agentVersion: '1', protocol: 1, since: new Date(0) };
  const deps = { scheduler: { renewLeases } } as unknown as SessionDeps;
  const session = new HostSession(socket as unknown as WebSocket, { id: randomUUIDv7(), peer }, deps, 60_000);
  const frame = Buffer.from(JSON.stringify({ type: 'renew', deploymentIds: [randomUUIDv7()] }));
  for (let n = 0; n < 3; n += 1) session.receive(frame, false);
  session.close(code, 'the end');
  socket.emit('close');
  first.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  return taken;
}

test('pending frames of a revoked host are discarded; those of a replaced session are still handled', async () => {
  assert.equal(await takenUp(CLOSE_REVOKED), 1);
  assert.equal(await takenUp(CLOSE_REPLACED), 3);
});

test('a session submits its reports to the shared intake one batch at a time', async () => {
  const nothing = (): void => undefined;
  const socket = Object.assign(new EventEmitter(), {
    pause: nothing,
    resume: nothing,
    terminate: nothing,
    isPaused: false,
  });
  const turn = Promise.withResolvers<never>();
  let brought = 0;
  const take = (): Promise<never> => {
    brought += 1;
    return turn.promise;
  };
  const peer = { agentVersion: '1', protocol: 1, since: new Date(0) };
  const deps = { intake: { take }, clock: { now: () => new Date(0) } } as unknown as SessionDeps;
  const session = new HostSession(socket as unknown as WebSocket, { id: randomUUIDv7(), peer }, deps, 60_000);
  for (let sequence = 1; sequence <= 200; sequence += 1) {
    session.receive(Buffer.from(JSON.stringify({ type: 'report', sequence, report: {} })), false);
  }
  socket.emit('close');
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(brought, 1);
});

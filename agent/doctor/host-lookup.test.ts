import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { exec } from '../lib/exec.ts';
import type { Exec } from '../lib/exec.ts';
import { lookUp, lookupWith } from './host-lookup.ts';
import { askHub } from '../host-facts/hub-answer.ts';

const answering =
  (exitCode: number | null, stdout: string): Exec =>
  async () => ({ exitCode, stdout, stderr: '', timedOut: exitCode === null });

/** Output of glibc 2.36: a line for each socket type, the name after the first. */
const FOUND = `2001:db8::7     STREAM hub.example.com
2001:db8::7     DGRAM
192.0.2.7       STREAM
192.0.2.7       DGRAM
`;

test('a lookup returns each address of a name once, in the order to try them', async () => {
  assert.deepEqual(await lookUp(answering(0, FOUND), 'hub.example.com', 100), [
    { address: '2001:db8::7', family: 6 },
    { address: '192.0.2.7', family: 4 },
  ]);
});

test('a lookup distinguishes a name that does not exist from one that is not found in time', async () => {
  await assert.rejects(lookUp(answering(2, ''), 'hub.example.com', 100), { code: 'ENOTFOUND' });
  await assert.rejects(lookUp(answering(null, ''), 'hub.example.com', 100), { code: 'ETIMEOUT' });
});

test('the doctor calls the hub at the addresses that the host has for its name', async (t) => {
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const ask = (by: Exec) => askHub(`http://localhost:${port}`, systemClock, 5000, lookupWith(by, 5000));
  const answer = await ask(exec);
  assert.equal(answer.reached && answer.body, 'hello');
  const lost = await ask(answering(null, ''));
  assert.deepEqual(lost, { reached: false, code: 'ETIMEOUT', message: 'localhost was not found in 5000 ms' });
});

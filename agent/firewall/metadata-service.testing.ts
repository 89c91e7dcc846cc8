/** For tests: something that really answers at 169.254.169.254, as a cloud's metadata service does. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { exec, run } from '../lib/exec.ts';

const ADDRESS = '169.254.169.254';

/** It lives in a network namespace of its own behind the host, until the test ends, and says "meta" on port 80. */
export async function openMetadataService(t: TestContext): Promise<void> {
  const id = randomBytes(3).toString('hex');
  const [namespace, outside, inside] = [`orkmeta-${id}`, `omo${id}`, `omi${id}`];
  const ip = (...args: string[]): Promise<unknown> => run('ip', args, { timeoutMs: 10_000 });
  t.after(() => exec('ip', ['netns', 'delete', namespace], { timeoutMs: 10_000 }));
  await ip('netns', 'add', namespace);
  await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
  await ip('link', 'set', inside, 'netns', namespace);
  await ip('addr', 'add', '169.254.169.253/30', 'dev', outside);
  await ip('link', 'set', outside, 'up');
  await ip('-n', namespace, 'addr', 'add', `${ADDRESS}/30`, 'dev', inside);
  await ip('-n', namespace, 'link', 'set', inside, 'up');
  await ip('-n', namespace, 'route', 'add', 'default', 'via', '169.254.169.253');
  const script = "require('node:net').createServer((socket) => socket.end('meta')).listen(80)";
  const server = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', process.execPath, '-e', script]);
  t.after(async () => {
    server.kill('SIGKILL');
    await once(server, 'close');
  });
  await reachable();
}

/** The host itself reaches it: so that a test which does not reach it has shown something. */
async function reachable(): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const socket = connect({ host: ADDRESS, port: 80, timeout: 500 });
    try {
      const [data] = (await once(socket, 'data')) as [Buffer];
      assert.equal(String(data), 'meta');
      return;
    } catch {
      await delay(50); // it is starting
    } finally {
      socket.destroy();
    }
  }
  throw new Error('the metadata service of the test does not start');
}

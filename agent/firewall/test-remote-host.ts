/** For tests: machines behind this host, each a network namespace with real servers. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { exec, run } from '../lib/exec.ts';

/** Registers work for the end of a test or script; TestContext fits. */
export interface Ending {
  after(work: () => Promise<unknown>): void;
}

/** For what outlives one test: hooks have no context of their own. Runs the works in reverse order. */
export function makeEndings(): Ending & { end(): Promise<void> } {
  const works: (() => Promise<unknown>)[] = [];
  return {
    after: (work) => void works.push(work),
    async end() {
      for (const work of works.splice(0).toReversed()) await work();
    },
  };
}

/** Sends `word` to every client of TCP port 80, and echoes what arrives at UDP ports 7 and 53. */
const SERVERS = (word: string): string => `
  require('node:net').createServer((socket) => socket.on('error', () => {}).end(${JSON.stringify(word)})).listen(80);
  for (const port of [7, 53]) {
    const echo = require('node:dgram').createSocket('udp4');
    echo.on('message', (message, from) => echo.send(message, from.port, from.address)).bind(port);
  }`;

/** Lasts until the test ends. @param address IPv4; the host's end of the link gets the address before it */
export async function openRemoteHost(t: Ending, address: string, word: string): Promise<void> {
  const id = randomBytes(3).toString('hex');
  const [namespace, outside, inside] = [`orkremote-${id}`, `oro${id}`, `ori${id}`];
  const ip = (...args: string[]): Promise<unknown> => run('ip', args, { timeoutMs: 10_000 });
  const parts = address.split('.');
  const gateway = [...parts.slice(0, 3), String(Number(parts[3]) - 1)].join('.');
  t.after(() => exec('ip', ['netns', 'delete', namespace], { timeoutMs: 10_000 }));
  await ip('netns', 'add', namespace);
  await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
  await ip('link', 'set', inside, 'netns', namespace);
  await ip('addr', 'add', gateway, 'peer', address, 'dev', outside);
  await ip('link', 'set', outside, 'up');
  await ip('-n', namespace, 'addr', 'add', address, 'peer', gateway, 'dev', inside);
  await ip('-n', namespace, 'link', 'set', inside, 'up');
  await ip('-n', namespace, 'route', 'add', 'default', 'via', gateway);
  serveIn(t, namespace, SERVERS(word));
  await reachable(address, word);
}

/** The metadata service of most clouds: sends "meta" on port 80 of 169.254.169.254. */
export const openMetadataService = (t: Ending): Promise<void> => openRemoteHost(t, '169.254.169.254', 'meta');

/** Runs `script` with Node.js in a network namespace until the test ends. */
export function serveIn(t: Ending, namespace: string, script: string): ChildProcess {
  const server = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', process.execPath, '-e', script], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  t.after(async () => {
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await once(server, 'close');
  });
  return server;
}

/** Waits until the host itself reaches it: only then does it mean something that a container does not. */
async function reachable(host: string, word: string): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) {
    const socket = connect({ host, port: 80, timeout: 500 });
    try {
      const [data] = (await once(socket, 'data')) as [Buffer];
      assert.equal(String(data), word);
      return;
    } catch {
      await delay(50); // it is starting
    } finally {
      socket.destroy();
    }
  }
  throw new Error(`the remote host ${host} of the test does not start`);
}

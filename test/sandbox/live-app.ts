/** An app that serves while builds misbehave: a real container, reached at its address as the proxy would. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine } from '../../agent/lib/engine.ts';
import { LABEL } from '../../agent/lib/labels.ts';
import { takePrecedence } from '../harness/precedence.ts';
import type { Visit, Visits } from './visitor.ts';
import { MIB } from '../../protocol/size.ts';

const IMAGE = 'node:26-trixie-slim';
const PORT = 8080;
const PROGRAM = `require('node:http').createServer((q, a) => a.end('hello')).listen(${PORT})`;
const READY_TRIES = 200;
const PER_SECOND = 150;
const LOOK_MS = 50;

export interface Traffic {
  /** Results of the requests that were due between two times (ms since the epoch), once the last of them has ended. */
  between(from: number, to: number): Promise<Felt>;
}

interface Felt {
  readonly p99Ms: number;
  readonly failed: number;
  readonly requests: number;
}

interface LiveApp {
  readonly traffic: Traffic;
  stop(): Promise<void>;
}

export async function startLiveApp(engine: Engine, scope: string): Promise<LiveApp> {
  const container = await engine.call('create the live app', (docker) =>
    docker.createContainer({
      Image: IMAGE,
      Cmd: ['node', '-e', PROGRAM],
      Labels: { [LABEL.scope]: scope },
      HostConfig: { Memory: 256 * MIB, NanoCpus: 1e9, PidsLimit: 128, AutoRemove: true },
    }),
  );
  await engine.call('start the live app', () => container.start());
  const info = await engine.call('look at the live app', () => container.inspect());
  const visits: Visit[] = [];
  const address = Object.values(info.NetworkSettings.Networks)[0]?.IPAddress ?? '';
  const stop = (): Promise<unknown> => engine.call('stop the live app', () => container.stop({ t: 0 }));
  try {
    await untilReady(address);
  } catch (error) {
    await stop();
    throw error;
  }
  const target: Visits = { address, port: PORT, perSecond: PER_SECOND };
  const visitor = fork(new URL('visitor.ts', import.meta.url), [JSON.stringify(target)]);
  visitor.on('message', (visit) => visits.push(visit as Visit));
  await once(visitor, 'spawn');
  // A real visitor has its own machine: only the delay that the app causes must count.
  await takePrecedence(visitor.pid ?? 0);
  return {
    traffic: {
      async between(from, to) {
        while (!haveEnded(visits, to)) {
          if (visitor.exitCode !== null) throw new Error('The visitor has ended.');
          await delay(LOOK_MS);
        }
        const within = visits.filter(({ at }) => at >= from && at <= to);
        const times = within.flatMap(({ ms }) => (ms === null ? [] : [ms])).sort((a, b) => a - b);
        const p99Ms = times[Math.floor(times.length * 0.99)] ?? Number.NaN;
        return { p99Ms, failed: within.length - times.length, requests: within.length };
      },
    },
    async stop() {
      visitor.kill();
      await stop();
    },
  };
}

/** Whether all visits due until then have been reported, and a later one too. */
function haveEnded(visits: readonly Visit[], to: number): boolean {
  const due = visits.filter(({ at }) => at <= to);
  const last = due.reduce((most, { number }) => Math.max(most, number), -1);
  return due.length < visits.length && due.length === last + 1;
}

async function untilReady(address: string): Promise<void> {
  for (let tries = 0; tries < READY_TRIES; tries += 1) {
    const answer = await fetch(`http://${address}:${PORT}/`).catch(() => null); // not yet
    if (answer?.status === 200) return;
    await delay(50);
  }
  throw new Error('The live app did not come up.');
}

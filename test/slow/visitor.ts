/** A visitor among the attackers: a steady rate of small requests, on kept and on new connections. */
import { Agent, request } from 'node:http';

const PER_SECOND = 200;
/** One in this many requests uses a new connection. */
const FRESH_EVERY = 4;
const TIMEOUT_MS = 10_000;

export interface Visit {
  readonly requests: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** @param port of the proxy on 127.0.0.1, which is the visitor's own address too */
export async function visit(port: number, host: string, seconds: number): Promise<Visit> {
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const times: number[] = [];
  let failed = 0;
  const pending: Promise<void>[] = [];
  const began = performance.now();
  try {
    for (let number = 0; number < seconds * PER_SECOND; number += 1) {
      const wait = began + (number * 1000) / PER_SECOND - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      pending.push(
        ask(port, host, number % FRESH_EVERY === 0 ? false : agent).then(
          (ms) => void times.push(ms),
          () => {
            failed += 1;
          },
        ),
      );
    }
    await Promise.all(pending);
  } finally {
    agent.destroy();
  }
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number => round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
  return { requests: pending.length, failed, p50Ms: at(0.5), p99Ms: at(0.99) };
}

function ask(port: number, host: string, agent: Agent | false): Promise<number> {
  return new Promise((resolve, reject) => {
    const began = performance.now();
    const req = request(
      { port, host: '127.0.0.1', path: '/small', agent, headers: { host }, timeout: TIMEOUT_MS },
      (res) => {
        res.on('error', reject);
        res.resume();
        res.once('end', () =>
          res.statusCode === 200 && res.complete
            ? resolve(performance.now() - began)
            : reject(new Error('no whole 200')),
        );
      },
    );
    req.once('timeout', () => req.destroy(new Error('no answer')));
    req.once('error', reject);
    req.end();
  });
}

export const round = (value: number): number => Math.round(value * 100) / 100;

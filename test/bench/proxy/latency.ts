/** Latency at a fixed rate, measured by a helper process on the load's core. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { BODIES } from './lab.ts';
import type { Lab } from './lab.ts';
import { run, urlOf } from './load/run.ts';
import type { RunningProxy } from './proxies/contract.ts';

const RATE = 2000;

const CLIENT = fileURLToPath(new URL('load/fixed-rate.ts', import.meta.url));

const Latency = z.object({ p50: z.number(), p99: z.number(), late99: z.number() });
/** Milliseconds. */
export type Latency = z.infer<typeof Latency>;

/** @throws Error when a request failed */
export async function measureLatency(lab: Lab, proxy: RunningProxy, seconds: number): Promise<Latency> {
  const url = urlOf(proxy, { path: '/1k' });
  const argv = [process.execPath, CLIENT, url, String(RATE), String(seconds), String(BODIES['/1k'])];
  return Latency.parse(JSON.parse(await run(lab, 'fixed-rate', argv, seconds)));
}

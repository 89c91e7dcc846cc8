/** One build that breaks a limit: how it ended, how late, and its effect on a live app's visitors and the disk. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ImageStore } from '../../agent/deployment/ports.ts';
import type { Engine } from '../../agent/lib/engine.ts';
import { makeImageStore } from '../../agent/docker/images.ts';
import { systemClock } from '../../agent/lib/clock.ts';
import { makeImageBuilder } from '../../agent/sandbox/build/builder.ts';
import type { Sandbox } from '../../agent/sandbox/sandbox.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { BuildLimits } from '../../protocol/job.ts';
import { MIB } from '../../protocol/size.ts';
import { planFor } from '../harness/builder.ts';
import type { Case } from './cases.ts';
import type { Traffic } from './live-app.ts';
import { observe, type Observer } from './sight.ts';

const LIMITS = BuildLimits.parse({ memoryMiB: 512, cpus: 1, pids: 1024, timeoutSeconds: 120, diskMiB: 1024 });
/** The host must have its bytes back within this time, ms. */
const BACK_MS = 20_000;
/** Disk growth below which a share of it means nothing, bytes. */
const LEAST_GROWTH = 16 * MIB;
/** Minimum time over which requests are judged, ms: short cases would have too few. */
const LEAST_WINDOW_MS = 8000;

export interface CaseResult {
  readonly name: string;
  readonly code: string;
  readonly secondsPastLimit: number;
  readonly p99Ratio: number;
  readonly failedRequests: number;
  /** Share of the host's disk bytes taken by the build that came back. */
  readonly diskBackPercent: number;
}

export interface Bench {
  readonly folder: string;
  readonly scope: string;
  readonly engine: Engine;
  readonly sandbox: Sandbox;
  readonly traffic: Traffic;
  /** p99 of the live app while nothing is being built, ms. */
  readonly quietP99Ms: number;
  /** Ends the case and everything after it. */
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

export async function runCase(bench: Bench, one: Case, name: string, environmentId: string): Promise<CaseResult> {
  bench.signal.throwIfAborted();
  const limits = { ...LIMITS, ...one.limits };
  const context = join(bench.folder, randomUUID());
  await mkdir(context);
  await one.context?.(context);
  const watched = watchedSandbox(bench, one, limits);
  const from = Date.now();
  const began = performance.now();
  const cancel = new AbortController();
  const timer = one.cancelAfterMs === undefined ? undefined : setTimeout(() => cancel.abort(), one.cancelAfterMs);
  const ended = await build(bench, watched, one, {
    limits,
    context,
    environmentId,
    signal: AbortSignal.any([cancel.signal, bench.signal]),
  }).catch((error: unknown) => error);
  const end = performance.now();
  clearTimeout(timer);
  const limitAt = one.cancelAfterMs === undefined ? watched.observer?.limitAt() : began + one.cancelAfterMs;
  const past = one.code === null ? 0 : end - (limitAt ?? began);
  // An ordinary build leaves its cache, which is meant to stay.
  const diskBackPercent = one.code === null ? 100 : await diskBack(watched.observer);
  await watched.observer?.stop();
  await delay(Math.max(0, LEAST_WINDOW_MS - (Date.now() - from)));
  const felt = await bench.traffic.between(from, Date.now());
  // The test itself makes and removes the context, so this must not count: no real build does it.
  await rm(context, { recursive: true });
  const code = ended instanceof OrkestrError ? ended.code : 'none';

  bench.say(`${name}: ${ended instanceof Error ? ended.message : 'the build went through'}`);
  return {
    name,
    code,
    secondsPastLimit: round(past / 1000),
    p99Ratio: round(felt.p99Ms / bench.quietP99Ms),
    failedRequests: felt.failed,
    diskBackPercent,
  };
}

/** Starts the slot's engine and gives it the base image, so that neither counts as left behind by a case. */
export async function warmUp(bench: Bench, environmentId: string): Promise<void> {
  const context = join(bench.folder, randomUUID());
  await mkdir(context);
  const one: Case = { name: 'warm-up', code: null, limits: {}, dockerfile: ['FROM debian:trixie-slim'] };
  const watched = watchedSandbox(bench, one, LIMITS);
  await build(bench, watched, one, { limits: LIMITS, context, environmentId, signal: bench.signal });
  await watched.observer?.stop();
  await rm(context, { recursive: true });
}

interface Watched {
  readonly sandbox: Sandbox;
  logBytes: number;
  observer: Observer | undefined;
}

/** The sandbox, with an observer of the slot that a build gets. */
function watchedSandbox({ sandbox }: Bench, one: Case, limits: BuildLimits): Watched {
  const watched: Watched = {
    logBytes: 0,
    observer: undefined,
    sandbox: {
      ...sandbox,
      use: (request, work) =>
        sandbox.use(request, async (slot) => {
          const { atLimit = () => true } = one;
          watched.observer = await observe(
            slot,
            () => watched.logBytes,
            (sight) => atLimit(sight, limits),
          );
          return work(slot);
        }),
    },
  };
  return watched;
}

interface Build {
  readonly limits: BuildLimits;
  readonly context: string;
  readonly environmentId: string;
  readonly signal: AbortSignal;
}

async function build(
  bench: Bench,
  watched: Watched,
  one: Case,
  { context, environmentId, ...rest }: Build,
): Promise<void> {
  const { scope, engine } = bench;
  const imagesOf = (of: Engine): ImageStore => makeImageStore(of, { scope });
  const deploymentId = randomUUID();
  const { id } = await makeImageBuilder({
    scope,
    engine,
    imagesOf,
    sandbox: watched.sandbox,
    clock: systemClock,
  }).build({
    ...rest,
    secrets: {},
    registries: [],
    owner: { deploymentId, environmentId, projectId: randomUUID() },
    reference: `orkestr/${environmentId}:${deploymentId}`,
    contextDirectory: context,
    log: {
      write: (bytes) => {
        watched.logBytes += bytes.length;
      },
      line: () => undefined,
    },
    plan: planFor(one.dockerfile),
  });
  await imagesOf(engine).remove(id);
}

/** Waits until the host has back what the build had taken, or time is up. */
async function diskBack(observer: Observer | undefined): Promise<number> {
  for (const until = performance.now() + BACK_MS; ; await delay(200)) {
    if (observer === undefined) return 100;
    const { before, most, now } = await observer.hostBytes();
    const share = most - before < LEAST_GROWTH ? 1 : Math.min(1, (most - now) / (most - before));
    if (share >= 0.99 || performance.now() > until) return round(100 * share);
  }
}

const round = (value: number): number => Math.round(value * 100) / 100;

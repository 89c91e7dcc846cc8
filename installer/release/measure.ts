/** What a release's agent and proxy use on an idle host. */
import { mkdtempSync, rmSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { archiveName, ReleaseTarget } from '../../protocol/release.ts';
import { cpuNanoseconds, residentBytes } from '../stack/process-cost.ts';
import { mustRun } from '../stack/run-program.ts';
import type { Service } from '../stack/service.ts';
import { ReleasedHost } from './released-host.ts';
import type { ProgramName } from './released-host.ts';

export interface Idle {
  /** Resident sets, bytes. */
  readonly agentBytes: number;
  readonly proxyBytes: number;
  readonly hubBytes: number;
  /** CPU time of agent and proxy as a share of the elapsed time, percent of one core. */
  readonly cpuPercent: number;
}

/**
 * Time for the garbage of a start and of the first rounds to be collected, ms (protocol/service/tidy.ts). The third
 * compaction, the last one for an idle process, comes after the round at two minutes.
 */
const SETTLE_MS = 140_000;
/** Two rounds of the agent, ms. */
const WATCH_MS = 120_000;

/**
 * Unpacks the release for this machine, starts its three processes enrolled and with an engine, and measures them.
 * @param signal ends it early: it stops what it has started, and throws the reason
 */
export async function measure(release: string, version: string, signal: AbortSignal): Promise<Idle> {
  const target = ReleaseTarget.parse(`linux-${arch()}`);
  const name = archiveName(version, target);
  const folder = mkdtempSync(join(tmpdir(), 'ork-idle-'));
  const bin = join(folder, name.replace('.tar.xz', ''), 'bin');
  const started: Service[] = [];
  const host = new ReleasedHost(folder, (program) => [join(bin, program)]);
  try {
    const archive = join(release, name);
    await mustRun('tar', ['tar', '--extract', '--file', archive, '--directory', folder]);
    const start = async (program: ProgramName, ready: string): Promise<Service> => {
      const service = await host.serve(program);
      started.push(service);
      await service.waitFor(ready);
      return service;
    };
    const hub = await start('orkestr-hub', 'listening');
    await host.join(await hub.url());
    const proxy = await start('orkestr-proxy', 'listening');
    const agent = await start('orkestr-agent', 'ready');
    await pause(SETTLE_MS, signal);
    const both = [agent, proxy];
    const before = secondsOf(both);
    await pause(WATCH_MS, signal);
    const cpuPercent = (100 * (secondsOf(both) - before)) / (WATCH_MS / 1000);
    return { agentBytes: bytesOf(agent), proxyBytes: bytesOf(proxy), hubBytes: bytesOf(hub), cpuPercent };
  } finally {
    for (const service of started.toReversed()) await service.stop();
    await host.removeRules();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
}

const secondsOf = (services: readonly Service[]): number =>
  services.reduce((sum, { identity }) => sum + cpuNanoseconds(identity.pid) / 1e9, 0);

const bytesOf = ({ identity }: Service): number => residentBytes(identity.pid);

/**
 * A host for tests: folders of its own in place of /opt and /etc, and small releases that are really packed, signed and
 * run. Only systemd is missing: its port starts and stops processes here.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { archiveName, ORIGIN_FILE, ReleaseTarget, SIGNATURE_FILE, SUMS_FILE } from '../../protocol/release.ts';
import { makeKeyPair } from '../../protocol/signing.ts';
import { systemClock } from '../lib/clock.ts';
import { run } from '../lib/exec.ts';
import { askView } from '../local-api/client.ts';
import type { UpgradeParts } from './health.ts';
import { layoutAt, linkTo, releaseFolder } from './layout.ts';
import { AGENT_UNIT, PROXY_UNIT, UPGRADE_UNIT } from './services.ts';
import type { Services, UnitState } from './services.ts';
import { sumOf } from './verify.ts';

export const HOST_TARGET = ReleaseTarget.parse(`linux-${process.arch}`);

/** What is wrong with a release. */
type Flaw = 'agent-ends' | 'agent-other-version' | 'proxy-ends' | 'proxy-stumbles' | 'trial-fails' | 'trial-ends';

export interface SmallRelease {
  readonly version: string;
  readonly flaw?: Flaw;
  /** Unit files: name → text. */
  readonly units?: Readonly<Record<string, string>>;
}

export interface TestHost {
  readonly parts: UpgradeParts;
  /** Private key (PEM) that signed its first release. */
  readonly key: string;
  readonly processes: Processes;
  /** Packs a release into a folder, in its published form. @returns the folder */
  publish(release: SmallRelease, key?: string, nextKey?: string): Promise<string>;
  agentVersion(): Promise<string | null>;
}

/** With release 1.0.0 installed and running. `proxy-stumbles`: its proxy answers only every second request. */
export async function startTestHost(t: TestContext, flaw?: Flaw): Promise<TestHost> {
  const root = mkdtempSync(join(tmpdir(), 'ork-up-'));
  const layout = layoutAt(root);
  const config = {
    stateFolder: join(root, 'var/lib/orkestr/agent'),
    agentSocket: join(root, 'agent.sock'),
    proxySocket: join(root, 'proxy.sock'),
    dockerSocket: join(root, 'docker.sock'),
    channel: 'stable',
  };
  for (const folder of [layout.releases, layout.units, config.stateFolder]) mkdirSync(folder, { recursive: true });
  const { privateKey: key } = makeKeyPair();
  const processes = new Processes(layout.current);
  const patience = { healthyMs: 3000, steadyMs: 300, everyMs: 30 };
  const parts = { layout, config, services: processes, clock: systemClock, patience };
  const engine = await openEngine(config.dockerSocket);
  t.after(async () => {
    await processes.close();
    engine.close();
    rmSync(root, { recursive: true, force: true });
  });
  const first: SmallRelease = { version: '1.0.0', ...(flaw && { flaw }) };
  layOut(releaseFolder(layout, first.version), first, publicKeyOf(key), config);
  linkTo(layout.current, first.version);
  await processes.start(PROXY_UNIT);
  await processes.start(AGENT_UNIT);
  const host: TestHost = {
    parts,
    key,
    processes,
    async publish(release, by = key, next = by) {
      const folder = join(root, `published-${release.version}`);
      const tree = join(folder, archiveName(release.version, HOST_TARGET).replace('.tar.xz', ''));
      layOut(tree, release, publicKeyOf(next), config);
      await pack(folder, release.version, by);
      return folder;
    },
    async agentVersion() {
      const view = await askView(config.agentSocket, 1000);
      return typeof view === 'string' ? null : view.version;
    },
  };
  while ((await host.agentVersion()) !== first.version) await systemClock.sleep(20);
  return host;
}

const publicKeyOf = (key: string): string =>
  createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' }).toString('base64');

/** The one request of an upgrade to Docker Engine: whether it responds. */
async function openEngine(socket: string): Promise<ReturnType<typeof createServer>> {
  const server = createServer((request, response) => {
    if (!request.url?.endsWith('/info')) throw new Error(`nobody should ask the engine for ${request.url}`);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ ServerVersion: '27.0', LiveRestoreEnabled: true }));
  }).listen(socket);
  await once(server, 'listening');
  return server;
}

function layOut(
  folder: string,
  { version, flaw, units = {} }: SmallRelease,
  publicKey: string,
  { agentSocket, proxySocket }: UpgradeParts['config'],
): void {
  for (const name of ['bin', 'lib', 'units']) mkdirSync(join(folder, name), { recursive: true });
  const facts = JSON.stringify({ version, flaw: flaw ?? null, agentSocket, proxySocket });
  writeFileSync(join(folder, 'lib/facts.json'), facts);
  copyFileSync(join(import.meta.dirname, 'test-program.mjs'), join(folder, 'lib/program.mjs'));
  for (const name of ['orkestr', 'orkestr-agent', 'orkestr-proxy']) {
    const path = join(folder, 'bin', name);
    const here = '$(dirname -- "$0")';
    writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' "${here}/../lib/program.mjs" ${name} "$@"\n`);
    chmodSync(path, 0o755);
  }
  for (const [name, text] of Object.entries(units)) writeFileSync(join(folder, 'units', name), text);
  writeFileSync(join(folder, ORIGIN_FILE), JSON.stringify({ version, publicKey, url: '' }));
}

async function pack(folder: string, version: string, key: string): Promise<void> {
  const archive = archiveName(version, HOST_TARGET);
  const name = archive.replace('.tar.xz', '');
  await run('tar', ['--create', '--xz', `--file=${join(folder, archive)}`, '-C', folder, '--', name], {
    timeoutMs: 30_000,
  });
  rmSync(join(folder, name), { recursive: true });
  const sums = `${await sumOf(join(folder, archive))}  ${archive}\n`;
  writeFileSync(join(folder, SUMS_FILE), sums);
  writeFileSync(join(folder, SIGNATURE_FILE), sign(null, Buffer.from(sums), createPrivateKey(key)));
}

const STOP_MS = 5000;

/**
 * Units as processes of this test, each in a process group, so that a successor is stopped along with its predecessor.
 */
class Processes implements Services {
  readonly started: string[] = [];
  reloads = 0;
  readonly #current: string;
  readonly #children = new Map<string, ChildProcess>();

  constructor(current: string) {
    this.#current = current;
  }

  async reload(): Promise<void> {
    this.reloads += 1;
  }

  async start(unit: string): Promise<void> {
    this.started.push(unit);
    if (unit === UPGRADE_UNIT) return;
    const program = join(this.#current, 'bin', unit.replace('.service', ''));
    this.#children.set(unit, spawn(program, ['serve'], { stdio: ['ignore', 'ignore', 'inherit'], detached: true }));
  }

  async stop(unit: string): Promise<void> {
    const child = this.#children.get(unit);
    if (child?.pid === undefined) return;
    this.#children.delete(unit);
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
    await Promise.race([ended, systemClock.sleep(STOP_MS)]);
  }

  /** Does not restart what has ended: it counts as failed at once. */
  async state(unit: string): Promise<UnitState> {
    const child = this.#children.get(unit);
    const failed = child !== undefined && (child.exitCode ?? 0) !== 0;
    return { failed, restarts: 0, active: child !== undefined && child.exitCode === null, mainPid: child?.pid ?? null };
  }

  async lines(unit: string): Promise<readonly string[]> {
    return [`the log of ${unit}`];
  }

  async close(): Promise<void> {
    for (const unit of this.#children.keys()) await this.stop(unit);
  }
}

/** Upgrades of a lab's hosts under traffic: to a release that works, and to broken ones. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { isEnded, Upgrade } from '../../../agent/upgrade/record.ts';
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';
import type { App } from '../app.ts';
import type { LabHost } from '../host.ts';
import { RELEASE_ON_HOST } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { makeNext } from '../releases.ts';
import type { NextRelease } from '../releases.ts';
import { SERVES_AGAIN_MS } from './power.ts';

/** The longest wait of an upgrade is for a release that is not healthy, ms. */
const RECORD_MS = 180_000;

/** Longer than an upgrade needs until it stops the agent. The new agent builds from the start, so it counts twice. */
const BUILD_S = 30;

const STARTED = `process.argv.includes('serve')`;

/** In the order in which they are tried. */
const NEXT = {
  good: { version: '7.0.0' },
  better: { version: '7.1.0' },
  /** Its upgrader is killed in the middle. */
  interrupted: { version: '7.2.0' },
  /** The power is cut in the middle. */
  cut: { version: '7.2.1' },
  noHub: { version: '7.2.2', before: { file: 'hub.cjs', text: `if (${STARTED}) process.exit(6);` } },
  noAgent: { version: '7.3.0', before: { file: 'agent.cjs', text: `if (${STARTED}) process.exit(3);` } },
  noProxy: { version: '7.4.0', before: { file: 'proxy/main.cjs', text: `if (${STARTED}) process.exit(4);` } },
  noTrial: {
    version: '7.5.0',
    before: { file: 'agent.cjs', text: `if (process.argv.includes('trial')) process.exit(5);` },
  },
  /** Signed by somebody else. */
  foreign: { version: '7.6.0' },
} as const satisfies Record<string, NextRelease>;

const placeOf = ({ version }: NextRelease): string => `${RELEASE_ON_HOST}/next/${version}`;

const Versions = z.object({
  orkestr: z.string(),
  agent: z.string().nullable(),
  proxy: z.string().nullable(),
  lastUpgrade: Upgrade.nullable(),
});
const Status = z.object({ checks: z.object({ versions: z.object({ data: Versions }) }) });

interface Cut {
  readonly name: string;
  readonly next: NextRelease;
  /** What the upgrade is doing at each power cut. */
  readonly at: readonly string[];
  readonly ends: Pick<Upgrade, 'state'> & { readonly code?: ErrorCode };
  readonly runs: NextRelease;
}

/** `better` runs when they start. */
const CUTS: readonly Cut[] = [
  {
    name: 'power cut twice in the switch',
    next: NEXT.cut,
    at: ['waiting for the agent', 'waiting for the agent'],
    ends: { state: 'reverted', code: 'ORK_UPGRADE_INTERRUPTED' },
    runs: NEXT.better,
  },
  {
    name: 'power cut between agent and proxy',
    next: NEXT.cut,
    at: ['handing over the proxy'],
    ends: { state: 'healthy' },
    runs: NEXT.cut,
  },
];

/** @param other on a host where nothing happens */
export async function upgradePhases(
  lab: Lab,
  { app, other }: { app: App; other: App },
  { hub, web }: { hub: LabHost; web: LabHost },
): Promise<void> {
  await lab.phase('further releases', () => makeAll(lab));
  await lab.phase('upgrade of the hub', () =>
    app.under(async () => mustRunAll(hub, await upgraded(hub, NEXT.good, ['--from', placeOf(NEXT.good)]))),
  );
  await lab.phase('upgrade of an agent host', async () => {
    const socket = await app.openSocket();
    try {
      const failed = await app.under(async () => {
        await mustRunAll(web, await upgraded(web, NEXT.good));
        await socket.echo('over the upgrade');
      });
      return failed + socket.losses;
    } finally {
      socket.close();
    }
  });
  await lab.phase('upgrade in a deployment', () => app.under(() => upgradeInBuild(web, app)));
  await lab.phase('upgrader killed in the switch', () =>
    app.under(async () => {
      const { interrupted } = NEXT;
      const under = upgraded(web, interrupted, ['--from', placeOf(interrupted)]);
      await untilRecord(web, ({ state }) => state === 'switching');
      await web.must(['systemctl', 'kill', '--signal=KILL', 'orkestr-upgrade.service']);
      await mustRunAll(web, await under);
    }),
  );
  for (const [name, host, next, ends, code] of [
    ['hub does not start: goes back', hub, NEXT.noHub, 'reverted', 'ORK_UPGRADE_UNHEALTHY'],
    ['agent does not start: goes back', web, NEXT.noAgent, 'reverted', 'ORK_UPGRADE_UNHEALTHY'],
    ['proxy does not start: goes back', web, NEXT.noProxy, 'reverted', 'ORK_PROXY_HAND_OVER'],
    ['fails its trial: is not tried', web, NEXT.noTrial, 'failed', 'ORK_UPGRADE_TRIAL'],
    ['signed by others: is not taken', web, NEXT.foreign, 'failed', 'ORK_UPGRADE_SIGNATURE'],
  ] as const) {
    await lab.phase(name, () =>
      app.under(async () => {
        const before = await versionsOf(host);
        const record = await upgrade(host, ['--from', placeOf(next)]);
        if (record.state !== ends || record.error?.code !== code) throw new Error(JSON.stringify(record));
        await mustRunAll(host, before.orkestr);
      }),
    );
  }
  await lab.phase('back to the one before, by hand', () =>
    app.under(async () => {
      await mustRunAll(web, await upgraded(web, NEXT.better, ['--version', NEXT.better.version, '--allow-downgrade']));
    }),
  );
  for (const cut of CUTS) await lab.phase(cut.name, () => other.under(() => cutInUpgrade(web, app, cut)));
  await lab.phase('only two releases are kept', async () => {
    const kept = (await web.must(['ls', '/opt/orkestr/releases'])).trim().split('\n');
    // A proxy that has handed over drains, and runs from its own.
    const inUse = await web.must([
      'sh',
      '-c',
      'readlink /proc/[0-9]*/exe; readlink /opt/orkestr/current /opt/orkestr/previous',
    ]);
    const more = kept.filter((version) => !inUse.includes(`/${version}`));
    if (more.length > 0) throw new Error(`${more.join()} of ${kept.join()} is kept, and nothing runs from it`);
  });
}

async function makeAll(lab: Lab): Promise<void> {
  const out = join(lab.releaseFolder, 'next');
  mkdirSync(out);
  for (const next of Object.values(NEXT)) {
    const keyFile = next === NEXT.foreign ? lab.foreignKey() : lab.keyFile;
    await makeNext(lab.releaseFolder, out, keyFile, next);
  }
}

/** The old agent builds, and the new one builds again and makes it live. */
async function upgradeInBuild(host: LabHost, app: App): Promise<void> {
  const { better } = NEXT;
  const pushed = await app.pushNext({ Dockerfile: slowDockerfile(BUILD_S * host.slowness) });
  await app.untilRunning(pushed.deployment, 'build');
  const mustBeUnfinished = async (): Promise<void> => {
    // The old agent has stopped then.
    await untilRecord(host, (record) => isOf(record, better) && record.doing === 'waiting for the agent');
    const { status, steps } = await app.look(pushed.deployment);
    const build = steps.find(({ name }) => name === 'build');
    if (status === 'running' && build?.status !== 'done') return;
    throw new Error(`the deployment was ${status}, its build ${build?.status}, when the agent was replaced`);
  };
  const [version] = await Promise.all([upgraded(host, better, ['--from', placeOf(better)]), mustBeUnfinished()]);
  await mustRunAll(host, version);
  await app.live(pushed);
  app.forget('Dockerfile');
}

/** @param seconds how long its build takes at least */
const slowDockerfile = (seconds: number): string => `FROM node:26-trixie-slim
RUN sleep ${seconds}
WORKDIR /app
COPY . .
USER 10001:10001
CMD ["node", "server.js"]
`;

/** @returns the record of its end */
async function upgrade(host: LabHost, options: readonly string[]): Promise<Upgrade> {
  const { stdout, stderr } = await host.run(['orkestr-agent', 'upgrade', '--json', ...options]);
  const record = Upgrade.safeParse(JSON.parse(stdout || 'null'));
  if (record.success) return record.data;
  throw new Error(`${host.name}: upgrade ${options.join(' ')}\n${stdout}${stderr}`);
}

/** @returns the version, which is now running */
async function upgraded(host: LabHost, next: NextRelease, options: readonly string[] = []): Promise<string> {
  const record = await upgrade(host, options);
  if (record.state !== 'healthy' || record.version !== next.version) throw new Error(JSON.stringify(record, null, 2));
  return next.version;
}

/** As reported by the host itself. */
async function versionsOf(host: LabHost): Promise<z.infer<typeof Versions>> {
  return Status.parse(JSON.parse((await host.run(['orkestr-agent', 'status', '--json', '--wait', '20'])).stdout)).checks
    .versions.data;
}

/** Agent, proxy and programs in PATH have that version, and nothing is left of the upgrade. */
async function mustRunAll(host: LabHost, version: string): Promise<void> {
  const { orkestr, agent, proxy } = await versionsOf(host);
  if ([orkestr, agent, proxy].some((one) => one !== version)) {
    throw new Error(`${host.name} runs orkestr ${orkestr}, agent ${agent}, proxy ${proxy}`);
  }
  const left = await host.run(['test', '-e', '/opt/orkestr/upgrader']);
  if (left.code === 0) throw new Error(`${host.name}: the link of the upgrader is still there`);
}

/** Starts an upgrade on a host that runs the first release, and returns in the middle of the switch. */
export async function beginUpgrade(host: LabHost): Promise<void> {
  order(host, NEXT.good);
  await untilRecord(host, ({ state }) => state === 'switching');
}

/** Starts an upgrade. Its command ends with the host or with the agent, so its result does not count. */
function order(host: LabHost, next: NextRelease): void {
  host.run(['orkestr-agent', 'upgrade', '--json', '--from', placeOf(next)]).catch(() => undefined);
}

/** Afterwards, the host runs one release or the other as a whole and reports it, and its apps are served. */
async function cutInUpgrade(host: LabHost, app: App, { next, at, ends, runs }: Cut): Promise<void> {
  const version = await app.seen();
  order(host, next);
  for (const [index, doing] of at.entries()) {
    await untilRecord(host, (record) => isOf(record, next) && record.switches === index + 1 && record.doing === doing);
    await host.cutPower();
    await host.powerOn();
  }
  const { state, error } = await untilRecord(host, (record) => isOf(record, next) && isEnded(record));
  if (state !== ends.state || error?.code !== ends.code) throw new Error(JSON.stringify({ state, error }));
  await mustRunAll(host, runs.version);
  const { lastUpgrade } = await versionsOf(host);
  if (lastUpgrade?.state !== ends.state) throw new Error(`the status of ${host.name} says ${lastUpgrade?.state}`);
  await app.untilSeen(version, SERVES_AGAIN_MS * host.slowness);
}

const isOf = ({ version }: Upgrade, next: NextRelease): boolean => version === next.version;

/** @returns the record of the last upgrade, once `isSo` holds */
async function untilRecord(host: LabHost, isSo: (record: Upgrade) => boolean): Promise<Upgrade> {
  let told = '';
  for (const end = Date.now() + RECORD_MS * host.slowness; Date.now() < end; await sleep(100)) {
    told = (await host.run(['cat', '/var/lib/orkestr/upgrade.json'])).stdout;
    const record = Upgrade.safeParse(JSON.parse(told || 'null'));
    if (record.success && isSo(record.data)) return record.data;
  }
  throw new Error(`the upgrade of ${host.name} stays at ${told}`);
}

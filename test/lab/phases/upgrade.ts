/** Upgrades of a lab's hosts under traffic: to a release that works, and to such as do not. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Upgrade } from '../../../agent/upgrade/record.ts';
import manifest from '../../../package.json' with { type: 'json' };
import type { App } from '../app.ts';
import type { LabHost } from '../host.ts';
import { RELEASE_ON_HOST } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { makeNext } from '../releases.ts';
import type { NextRelease } from '../releases.ts';

const STARTED = `process.argv.includes('serve')`;

/** In the order in which they are tried. */
const NEXT = {
  good: { version: '7.0.0' },
  better: { version: '7.1.0' },
  /** Killed in the middle. */
  interrupted: { version: '7.2.0' },
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

export async function upgradePhases(lab: Lab, app: App, { hub, web }: { hub: LabHost; web: LabHost }): Promise<void> {
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
  await lab.phase('upgrade in a deployment', () =>
    app.under(async () => {
      const upgradeInBuild = async (): Promise<void> => {
        await app.untilRunning('build');
        await upgraded(web, NEXT.better, ['--from', placeOf(NEXT.better)]);
      };
      await Promise.all([app.deploy(), upgradeInBuild()]);
    }),
  );
  await lab.phase('upgrader killed in the switch', () =>
    app.under(async () => {
      const { interrupted } = NEXT;
      const under = upgraded(web, interrupted, ['--from', placeOf(interrupted)]);
      await untilState(web, 'switching');
      await web.must(['systemctl', 'kill', '--signal=KILL', 'orkestr-upgrade.service']);
      await mustRunAll(web, await under);
    }),
  );
  for (const [name, next, ends, code] of [
    ['agent does not start: goes back', NEXT.noAgent, 'reverted', 'ORK_UPGRADE_UNHEALTHY'],
    ['proxy does not start: goes back', NEXT.noProxy, 'reverted', 'ORK_PROXY_HAND_OVER'],
    ['fails its trial: is not tried', NEXT.noTrial, 'failed', 'ORK_UPGRADE_TRIAL'],
    ['signed by others: is not taken', NEXT.foreign, 'failed', 'ORK_UPGRADE_SIGNATURE'],
  ] as const) {
    await lab.phase(name, () =>
      app.under(async () => {
        const record = await upgrade(web, ['--from', placeOf(next)]);
        if (record.state !== ends || record.error?.code !== code) throw new Error(JSON.stringify(record));
        await mustRunAll(web, NEXT.interrupted.version);
      }),
    );
  }
  await lab.phase('back to the one before, by hand', () =>
    app.under(async () => {
      await mustRunAll(web, await upgraded(web, NEXT.better, ['--version', NEXT.better.version, '--allow-downgrade']));
    }),
  );
  await lab.phase('only two releases are kept', async () => {
    const kept = (await web.must(['ls', '/opt/orkestr/releases'])).trim().split('\n');
    // And those that a proxy still runs from, which has not drained.
    const allowed = [
      manifest.version,
      ...Object.values(NEXT)
        .slice(0, 3)
        .map(({ version }) => version),
    ];
    if (!kept.every((version) => allowed.includes(version))) throw new Error(kept.join());
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

/** @returns how it ended */
async function upgrade(host: LabHost, options: readonly string[]): Promise<Upgrade> {
  const { stdout, stderr } = await host.run(['orkestr-agent', 'upgrade', '--json', ...options]);
  const record = Upgrade.safeParse(JSON.parse(stdout || 'null'));
  if (record.success) return record.data;
  throw new Error(`${host.name}: upgrade ${options.join(' ')}\n${stdout}${stderr}`);
}

/** @returns the version, which runs */
async function upgraded(host: LabHost, next: NextRelease, options: readonly string[] = []): Promise<string> {
  const record = await upgrade(host, options);
  if (record.state !== 'healthy' || record.version !== next.version) throw new Error(JSON.stringify(record, null, 2));
  return next.version;
}

/** Agent and proxy are of that version, and so is what stands in the path; nothing is left of the work. */
async function mustRunAll(host: LabHost, version: string): Promise<void> {
  const report = JSON.parse((await host.run(['orkestr-agent', 'status', '--json'])).stdout) as {
    checks: Record<string, { data: Record<string, unknown> }>;
  };
  const { orkestr, agent, proxy } = report.checks['versions']?.data ?? {};
  if ([orkestr, agent, proxy].some((one) => one !== version)) {
    throw new Error(`${host.name} runs orkestr ${String(orkestr)}, agent ${String(agent)}, proxy ${String(proxy)}`);
  }
  const left = await host.run(['test', '-e', '/opt/orkestr/upgrader']);
  if (left.code === 0) throw new Error(`${host.name}: the link of the upgrader is still there`);
}

async function untilState(host: LabHost, state: string): Promise<void> {
  for (let tries = 0; tries < 600; tries += 1) {
    const { stdout } = await host.run(['cat', '/var/lib/orkestr/upgrade.json']);
    if (stdout.includes(`"state": "${state}"`)) return;
    await sleep(100);
  }
  throw new Error(`${host.name} does not come to be ${state}`);
}

/** The phases of a lab, in order. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from '../../hub/cli/client.ts';
import { App } from './app.ts';
import { giveBaseImage, hubUrlOf, installHub, joinByOneLine, online, takeBaseImages } from './fleet.ts';
import type { HostImage, LabHost } from './host.ts';
import { differences, mustShowOurs, takeInventory } from './inventory.ts';
import type { Inventory } from './inventory.ts';
import type { Lab } from './lab.ts';
import { reachesNothing } from './phases/boot.ts';
import { allIsWell, nothingToMend } from './phases/health.ts';
import { limitPhases } from './phases/limits.ts';
import { beginUpgrade, upgradePhases } from './phases/upgrade.ts';
import { cutAfterLive, cutInDeployment, enrolAgain, hostGone, reboot } from './phases/power.ts';

/** The images from which the hosts of the fleet boot. */
interface Images {
  readonly hub: HostImage;
  /** The host that most phases use. */
  readonly web: HostImage;
  readonly api: HostImage;
}

interface Course {
  /** Hosts have not even Docker Engine: the installer downloads it. */
  readonly bare: boolean;
  /** What is tested between installation and uninstall. */
  readonly between: Between;
}

export type Between = 'all' | 'upgrades' | 'nothing';

/** Matches lines of an inventory that are ours, but not `network` or `git-worktree`. */
const OURS = /(?<![a-z])ork/i;

export async function runLab(lab: Lab, images: Images, { bare, between }: Course): Promise<void> {
  await lab.phase('release', () => lab.release());
  const [hub, web, api] = await Promise.all([
    lab.boot('hub', images.hub),
    lab.boot('web', images.web),
    lab.boot('api', images.api),
  ]);
  const before = new Map<LabHost, Inventory>();
  for (const host of [hub, web, api]) before.set(host, await takeInventory(host));

  await lab.phase('dry run changes nothing', async () => {
    await hub.must(['sh', '/release/install.sh', '--hub-here', '--offline', '/release', '--dry-run']);
    mustBeEmpty(differences(before.get(hub) ?? new Set(), await takeInventory(hub)));
  });
  let token = '';
  await lab.phase('hub from bare', async () => {
    token = await installHub(hub);
  });
  const client = new Client({ url: await hubUrlOf(hub), token });
  try {
    for (const host of [web, api]) {
      await lab.phase(`agent from bare, by one line: ${host.name}`, () => joinByOneLine(client, host));
    }
    await lab.phase('second run changes nothing', async () => {
      const said = await web.must(['sh', '-c', `curl -fsSL ${client.url}/install.sh | sh -s -- --allow-http`]);
      if (!said.includes('nothing to do')) throw new Error(said);
    });
    await lab.phase('the doctor finds nothing', async () => {
      for (const host of [hub, web, api]) await nothingToMend(host);
    });
    for (const host of [web, api]) await giveBaseImage(lab, host);
    const appOn = (host: LabHost, slug: string): Promise<App> =>
      App.create({ client, token, host, slug, folder: lab.folder });
    const [app, other] = [await appOn(web, 'hello'), await appOn(api, 'other')];
    await lab.phase('first deployments, on both', () =>
      Promise.all([app.deploy(), other.deploy()]).then(() => undefined),
    );
    await lab.phase('the comparison sees what is ours', async () => mustShowOurs(await takeInventory(web)));
    if (between === 'all') await everydayPhases(lab, client, { app, other }, { web, api });
    if (between !== 'nothing') await upgradePhases(lab, { app, other }, { hub, web });
    await lab.phase('status', async () => {
      await online(client, web.name);
      for (const host of [hub, web, api]) await allIsWell(host);
    });
    await lab.phase('fences of the units', () => checkFences(hub));
  } finally {
    await client.close();
  }
  for (const host of [web, api, hub]) {
    const isInUpgrade = host === api && between !== 'nothing';
    await lab.phase(`uninstall of ${host.name}${isInUpgrade ? ', in an upgrade' : ''}`, async () => {
      if (isInUpgrade) await beginUpgrade(host);
      await host.must(['orkestr-agent', 'uninstall', '--purge']);
      await takeBaseImages(host);
      const left = differences(before.get(host) ?? new Set(), await takeInventory(host));
      // Packages that the installer has downloaded stay, but nothing of ours does.
      mustBeEmpty(bare ? left.filter((line) => OURS.test(line)) : left);
    });
  }
}

/** Deployments, processes that end, limits, reboots and power cuts. @param other on a host where nothing happens */
async function everydayPhases(
  lab: Lab,
  client: Client,
  { app, other }: { app: App; other: App },
  { web, api }: { web: LabHost; api: LabHost },
): Promise<void> {
  await lab.phase('second deployment', () => app.under(() => app.deploy()));
  await lab.phase('restart of the agent', () => app.under(() => restart(web, 'orkestr-agent.service')));
  // systemd holds the ports, so no connection is refused. A kept connection may end with the process that accepted it.
  await lab.phase('restart of the proxy', () =>
    app.under(() => restart(web, 'orkestr-proxy.service'), { onlyFresh: true }),
  );
  await lab.phase('kill -9 of the agent', () =>
    app.under(() => web.must(['systemctl', 'kill', '--signal=KILL', 'orkestr-agent.service']).then(() => undefined)),
  );
  await lab.phase('hand-over of the proxy', () => app.under(() => handOver(web)));
  // Each before its predecessor's first ping; together they take longer than the watchdog waits.
  await lab.phase('hand-overs in a row', () =>
    app.under(async () => {
      for (let count = 0; count < 4; count += 1) {
        await handOver(web);
        await sleep(BEFORE_FIRST_PING_MS);
      }
    }),
  );
  for (const [name, work] of limitPhases(app)) await lab.phase(name, work);
  // Visitors of the other host must not notice.
  await lab.phase('reboot of a host', () => other.under(() => reboot(client, web, app)));
  await lab.phase('an app at the boot of its host', () => other.under(() => reachesNothing(client, web, app)));
  await lab.phase('power cut after a deployment', () => other.under(() => cutAfterLive(client, web, app)));
  await lab.phase('power cut in a deployment', () => other.under(() => cutInDeployment(client, web, app)));
  await lab.phase('a host is gone, and back', () => app.under(() => hostGone(client, api, other)));
  await lab.phase('a host is enrolled again', () => app.under(() => enrolAgain(lab, client, api, other)));
}

const restart = async (host: LabHost, unit: string): Promise<void> => {
  await host.must(['systemctl', 'restart', unit]);
};

/**
 * Waits until the successor is the unit's main process: `reload` signals the main process, and on a slow host the old
 * one could end between systemd's check and the signal of the next hand-over.
 */
async function handOver(host: LabHost): Promise<void> {
  const mainPid = (): Promise<string> =>
    host.must(['systemctl', 'show', '--property=MainPID', 'orkestr-proxy.service']);
  const before = await mainPid();
  await host.must(['systemctl', 'reload', 'orkestr-proxy.service']);
  const end = Date.now() + HAND_OVER_MS * host.slowness;
  while ((await mainPid()) === before) {
    if (Date.now() > end) throw new Error(`${host.name}: the proxy has no successor`);
    await sleep(100 * host.slowness);
  }
}

const HAND_OVER_MS = 20_000;

/** A proxy pings every 15 s, and its unit has WatchdogSec=30. */
const BEFORE_FIRST_PING_MS = 12_000;

/** Exposure as reported by systemd-analyze(1), from 0 (none) to 10 (full). */
const MOST_EXPOSED = 4;

async function checkFences(host: LabHost): Promise<void> {
  for (const unit of ['orkestr-proxy.service', 'orkestr-hub.service', 'orkestr-firewall.service']) {
    const said = await host.must(['systemd-analyze', 'security', '--no-pager', unit]);
    const exposure = Number(/exposure level for \S+: ([\d.]+)/.exec(said)?.[1]);
    if (!(exposure <= MOST_EXPOSED)) throw new Error(`${unit} is exposed ${exposure}`);
  }
}

function mustBeEmpty(lines: readonly string[]): void {
  if (lines.length > 0) throw new Error(`not as before:\n${lines.slice(0, 40).join('\n')}`);
}

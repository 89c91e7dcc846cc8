/** Hosts that are switched off and on, cleanly or not, and one that is set up anew. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../../hub/cli/client.ts';
import type { App } from '../app.ts';
import { giveBaseImage, joinAgain, offline, online } from '../fleet.ts';
import type { LabHost } from '../host.ts';
import type { Lab } from '../lab.ts';

/** Time after which the host must respond for its apps again (FAULTS: host reboot), ms. */
export const SERVES_AGAIN_MS = 60_000;
/** Time after which a deployment is in its build, ms. */
const INTO_BUILD_MS = 2000;

/** Apps start again by themselves, at the version they had. */
export async function reboot(client: Client, host: LabHost, app: App): Promise<void> {
  const version = await app.seen();
  await host.reboot();
  await app.untilSeen(version, SERVES_AGAIN_MS * host.slowness);
  await online(client, host.name);
}

/** What was reported as live is live afterwards; nothing of it was only in memory. */
export async function cutAfterLive(client: Client, host: LabHost, app: App): Promise<void> {
  await app.deploy();
  const version = await app.seen();
  await host.cutPower();
  await host.powerOn();
  await app.untilSeen(version, SERVES_AGAIN_MS * host.slowness);
  await online(client, host.name);
}

/** A deployment in progress finishes afterwards or fails with an error; visitors see what the hub reports. */
export async function cutInDeployment(client: Client, host: LabHost, app: App): Promise<void> {
  const before = await app.seen();
  const { version, deployment } = await app.pushNext();
  await sleep(INTO_BUILD_MS * host.slowness);
  await host.cutPower();
  await host.powerOn();
  const { status, error } = await app.ended(deployment);
  if (status !== 'live' && error === null) throw new Error(`deployment ${status}, and nothing says why`);
  await app.untilSeen(status === 'live' ? version : before, SERVES_AGAIN_MS * host.slowness);
  await online(client, host.name);
}

/** The hub reports a host that is gone; what is pushed meanwhile is deployed once the host is back. */
export async function hostGone(client: Client, host: LabHost, app: App): Promise<void> {
  await host.cutPower();
  await offline(client, host.name);
  const { version, deployment } = await app.pushNext();
  await host.powerOn();
  const { status, error } = await app.ended(deployment);
  if (status !== 'live') throw new Error(`deployment ${status}: ${JSON.stringify(error)}`);
  await app.untilSeen(version, SERVES_AGAIN_MS * host.slowness);
}

/** Like after a disk loss: the host has lost everything, and the hub still has its name and environments. */
export async function enrolAgain(lab: Lab, client: Client, host: LabHost, app: App): Promise<void> {
  await host.must(['orkestr-agent', 'uninstall', '--purge']);
  await joinAgain(client, host);
  await giveBaseImage(lab, host);
  await app.deploy();
}

/** Turns the hosts of a lab into a fleet, like their owner would: a hub, and agents that join it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { Host } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import type { Client } from '../../hub/cli/client.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import type { LabHost } from './host.ts';
import { IMAGES_ON_HOST, RELEASE_ON_HOST } from './lab.ts';
import type { Lab } from './lab.ts';

const HUB_PORT = 7700;
const WAIT_MS = 180_000;

export const hubUrlOf = async (hub: LabHost): Promise<string> => `http://${await hub.address()}:${HUB_PORT}`;

/** Installs the hub on a bare host, like a person with the files of a release. @returns its admin token */
export async function installHub(host: LabHost): Promise<string> {
  const url = await hubUrlOf(host);
  const options = ['--hub-here', '--offline', RELEASE_ON_HOST, '--listen', `0.0.0.0:${HUB_PORT}`];
  await host.must(['sh', `${RELEASE_ON_HOST}/install.sh`, ...options, '--public-url', url, '--allow-http']);
  return (await host.must(['cat', '/etc/orkestr/admin-token'])).trim();
}

const MadeHost = z.object({ installCommand: z.string() });

/** Adds a new host by pasting the hub's command for it there. */
export async function joinByOneLine(client: Client, host: LabHost): Promise<void> {
  const { installCommand } = await client.post('/hosts', { name: host.name }, MadeHost);
  await pasteInstallCommand(host, installCommand);
  await online(client, host.name);
}

/** The same for a host that the hub knows: it was set up anew, and keeps its name and its environments. */
export async function joinAgain(client: Client, host: LabHost): Promise<void> {
  const { id } = await named(client, host.name);
  const { installCommand } = await client.post(apiPath('hosts', id, 'join-token'), {}, MadeHost);
  await pasteInstallCommand(host, installCommand);
  await online(client, host.name);
}

async function pasteInstallCommand(host: LabHost, line: string): Promise<void> {
  // In a lab, the user is root; a bare Debian has no sudo.
  const { code, stdout, stderr } = await host.paste(line.replace('sudo ', ''));
  if (code !== 0) throw new Error(`${line}\n${stdout}${stderr}`);
}

async function named(client: Client, name: string): Promise<Host> {
  const host = (await client.get('/hosts', z.array(Host))).find((one) => one.name === name);
  if (host === undefined) throw new Error(`the hub knows no host ${name}`);
  return host;
}

export const online = (client: Client, name: string): Promise<Host> => until(client, name, true);
/** Waits until the hub reports the host as offline. */
export const offline = (client: Client, name: string): Promise<Host> => until(client, name, false);

async function until(client: Client, name: string, isOnline: boolean): Promise<Host> {
  for (const end = Date.now() + WAIT_MS; Date.now() < end; await sleep(200)) {
    const host = await named(client, name);
    if (host.online === isOnline) return host;
  }
  throw new Error(`${name} is not ${isOnline ? 'online' : 'offline'} after ${WAIT_MS / 1000} s`);
}

/** A call to the host's engine. Not every host has the program `docker`. */
const engineCall = (method: string, path: string, ...options: string[]): string[] => {
  const curl = ['curl', '--fail', '-sS', '--unix-socket', '/run/docker.sock', '-X', method, ...options];
  return [...curl, `http://localhost/${path}`];
};

/** Removes the base images that the lab has given to the host; images that were built on them must be gone. */
export async function takeBaseImages(host: LabHost): Promise<void> {
  // Not every host has each of them.
  for (const image of Object.values(BaseImages.parse({}))) await host.run(engineCall('DELETE', `images/${image}`));
}

/** Copies a base image from the machine's engine to the host's: a lab can reach no registry. */
export async function giveBaseImage(lab: Lab, host: LabHost, kind: 'node' | 'static' = 'node'): Promise<void> {
  const image = BaseImages.parse({})[kind];
  const file = join(lab.imageFolder, `${kind}.tar`);
  if (!existsSync(file)) await mustRun('docker save', ['docker', 'save', `--output=${file}`, image]);
  await host.must(engineCall('POST', 'images/load', '--upload-file', `${IMAGES_ON_HOST}/${kind}.tar`));
}

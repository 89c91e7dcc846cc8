/** What apps can reach just after a boot of their host, when Docker has started them but the agent is not up yet. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Client } from '../../../hub/cli/client.ts';
import type { App } from '../app.ts';
import type { LabHost } from '../host.ts';
import { reboot } from './power.ts';

const UNIT = 'lab-metadata.service';
const UNIT_PATH = `/etc/systemd/system/${UNIT}`;
const ADDRESS = '169.254.169.254';

/** A metadata service as in a cloud: outside of the host, reached by forwarding, and up before Docker starts apps. */
const UNIT_TEXT = `[Unit]
Before=docker.service
[Service]
ExecStartPre=/usr/sbin/ip netns add metadata
ExecStartPre=/usr/sbin/ip link add metadata0 type veth peer name inside netns metadata
ExecStartPre=/usr/sbin/ip addr add 169.254.169.253/30 dev metadata0
ExecStartPre=/usr/sbin/ip link set metadata0 up
ExecStartPre=/usr/sbin/ip -n metadata addr add ${ADDRESS}/30 dev inside
ExecStartPre=/usr/sbin/ip -n metadata link set inside up
ExecStart=/usr/bin/nsenter --net=/run/netns/metadata /opt/orkestr/current/bin/node -e 'require("node:http").createServer((_, answer) => answer.end("secrets")).listen(80)'
ExecStopPost=/usr/sbin/ip netns del metadata
[Install]
WantedBy=multi-user.target
`;

const Reached = z.object({ tries: z.int(), reached: z.array(z.string()) });
/** Some seconds of tries, from its start on (test/lab/reach-out.mjs). */
const LEAST_TRIES = 200;
const TRIES_MS = 60_000;

/** An app that tries without pause from its start on reaches neither the metadata service nor a port of its host. */
export async function reachesNothing(client: Client, host: LabHost, app: App): Promise<void> {
  await host.must(['tee', UNIT_PATH], UNIT_TEXT);
  await host.must(['systemctl', 'enable', '--now', '--quiet', UNIT]);
  try {
    await reboot(client, host, app);
    // The host itself must reach it: a check that cannot fail would prove nothing.
    await host.must(['curl', '-sS', '--max-time', String(5 * host.slowness), `http://${ADDRESS}/`]);
    const { tries, reached } = await triedEnough(app, TRIES_MS * host.slowness);
    if (reached.length > 0) throw new Error(`in ${tries} tries the app has reached ${reached.join(' and ')}`);
  } finally {
    await host.must(['systemctl', 'disable', '--now', '--quiet', UNIT]);
    await host.must(['rm', UNIT_PATH]);
    await host.must(['systemctl', 'daemon-reload']);
  }
}

/** What the app reports about itself, once it has tried often enough. */
async function triedEnough(app: App, withinMs: number): Promise<z.infer<typeof Reached>> {
  let told: z.infer<typeof Reached> | null = null;
  for (const end = Date.now() + withinMs; Date.now() < end; await sleep(200)) {
    // A response that does not arrive in time is tested by another phase.
    const header = await app.header('x-reached').catch(() => null);
    if (header !== null) told = Reached.parse(JSON.parse(header));
    if (told !== null && (told.tries >= LEAST_TRIES || told.reached.length > 0)) return told;
  }
  throw new Error(`the app has tried ${told?.tries ?? 'who knows how many'} times in ${withinMs / 1000} s`);
}

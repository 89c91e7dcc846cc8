/**
 * Switches from one release to another, and back by the same steps: hub, agent, then proxy. The running proxy serves
 * visitors until its successor does (docs/adr/0012).
 */
import { join } from 'node:path';
import { readIdentity } from '../identity/identity.ts';
import { makeProxyClient } from '../proxy-client/edge-proxy.ts';
import { restoreCopies } from './databases.ts';
import { agentPatient, hubPatient, proxyPatient, untilWell } from './health.ts';
import type { Look, Patient, UpgradeParts } from './health.ts';
import { hasHub, linkTo } from './layout.ts';
import { AGENT_UNIT, HUB_UNIT, PROXY_UNIT } from './services.ts';
import { installUnits } from './units.ts';

/** A proxy that is silent for this long cannot hand over either, ms. */
const SILENT_MS = 10_000;

interface Move {
  readonly from: string;
  readonly to: string;
  /** Going back: restores the databases from before the newer version migrated them. */
  readonly back: boolean;
}

/**
 * Idempotent: after a kill, the next run starts over.
 * @throws OrkestrError ORK_UPGRADE_UNHEALTHY, ORK_PROXY_HAND_OVER
 */
export async function moveTo(parts: UpgradeParts, move: Move, say: (doing: string) => void): Promise<void> {
  const { layout, config, services } = parts;
  const { from, to, back } = move;
  const withHub = hasHub(layout);
  say('stopping the agent; apps keep serving');
  await services.stop(AGENT_UNIT);
  // Hub before agent: the hub knows older agents, but agents need not know a newer hub.
  if (withHub) await services.stop(HUB_UNIT);
  if (back) restoreCopies(layout, config.stateFolder);
  const unitsChanged = installUnits(layout, to, from);
  linkTo(layout.current, to);
  if (unitsChanged) await services.reload();
  if (withHub) {
    say('waiting for the hub');
    await services.start(HUB_UNIT);
    await untilWell(parts, hubPatient(parts, to, readIdentity(config.stateFolder)?.hub?.url ?? null));
  }
  say('waiting for the agent');
  await services.start(AGENT_UNIT);
  await untilWell(parts, agentPatient(parts, to));
  say('handing over the proxy');
  await moveProxy(parts, to, back);
}

/**
 * Does nothing if a proxy of that version runs. When going back, a proxy that cannot hand over is restarted; systemd
 * keeps its ports open.
 */
async function moveProxy(parts: UpgradeParts, to: string, back: boolean): Promise<void> {
  const { layout, config, services } = parts;
  const patient = proxyPatient(parts, to);
  if ((await lookUntilAnswered(parts, patient)).well) return;
  try {
    const launcher = join(layout.current, 'bin/orkestr-proxy');
    await makeProxyClient(config.proxySocket).handOver({ execPath: launcher, args: ['serve'] });
  } catch (error) {
    if (!back) throw error;
    await services.stop(PROXY_UNIT);
    await services.start(PROXY_UNIT);
  }
  await untilWell(parts, patient);
}

/** A busy proxy may answer late. One of the right version must not be restarted for that: connections would be lost. */
async function lookUntilAnswered({ clock, patience }: UpgradeParts, patient: Patient): Promise<Look> {
  const until = clock.monotonic() + SILENT_MS;
  for (;;) {
    const found = await patient.look();
    if (found.well || !found.silent || clock.monotonic() >= until) return found;
    await clock.sleep(patience.everyMs);
  }
}

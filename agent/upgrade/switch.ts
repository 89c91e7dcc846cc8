/**
 * From one release to another and back, by the same steps: hub, agent, then proxy. Visitors are served by the proxy that
 * runs until its successor does (docs/adr/0012).
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

/** A proxy that says nothing for this long does not hand over either, ms. */
const SILENT_MS = 10_000;

interface Move {
  readonly from: string;
  readonly to: string;
  /** Going back: databases are as they were before the newer version migrated them. */
  readonly back: boolean;
}

/**
 * Safe to repeat: whoever was killed in the middle begins anew.
 * @throws OrkestrError ORK_UPGRADE_UNHEALTHY, ORK_PROXY_HAND_OVER
 */
export async function moveTo(parts: UpgradeParts, move: Move, say: (doing: string) => void): Promise<void> {
  const { layout, config, services } = parts;
  const { from, to, back } = move;
  const withHub = hasHub(layout);
  say('stopping the agent; apps keep serving');
  await services.stop(AGENT_UNIT);
  // Hub before agent: it knows the older agents, they need not know a newer hub.
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

/** A proxy of that version hands over no more. Going back, one that cannot is started anew: ports stay open for it. */
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

/** A busy proxy may answer late. One that runs as it should is not to be started anew for that: connections would be lost. */
async function lookUntilAnswered({ clock, patience }: UpgradeParts, patient: Patient): Promise<Look> {
  const until = clock.monotonic() + SILENT_MS;
  for (;;) {
    const found = await patient.look();
    if (found.well || !found.silent || clock.monotonic() >= until) return found;
    await clock.sleep(patience.everyMs);
  }
}

/** The host as reconcile sees it, observed by the doctor's quick means. Parts that do not respond are null. */
import type { TableView } from '../../protocol/proxy-admin.ts';
import { isEnded } from '../deployment/deployment.ts';
import { LABEL } from '../lib/labels.ts';
import type { ObservedContainer, Observed, Remembered } from '../reconcile/plan.ts';
import type { EngineContainer } from './engine-facts.ts';
import type { Subject } from './subject.ts';

export async function observedOf(subject: Subject): Promise<Observed> {
  const scope = subject.scope();
  const [containers, table] = await Promise.all([
    subject.engine.containers().catch(() => null), // the engine's own check reports it
    subject.proxy.table().catch((): TableView | null => null), // the proxy's own check reports it
  ]);
  return {
    // Without a scope it is unknown which ones are ours.
    containers:
      scope === null
        ? null
        : (containers?.filter((one) => one.Labels?.[LABEL.scope] === scope).flatMap(toObserved) ?? null),
    table,
    workspaces: [],
  };
}

/** Null if there is no readable journal. */
export async function rememberedOf(subject: Subject): Promise<Remembered | null> {
  const journal = await subject.journal();
  if (journal === null || 'unreadable' in journal) return null;
  return {
    live: journal.live,
    unfinished: journal.deployments.filter(({ state }) => !isEnded(state)),
  };
}

function toObserved({ Names, State, Labels, NetworkSettings }: EngineContainer): ObservedContainer[] {
  const deploymentId = Labels?.[LABEL.deployment];
  if (deploymentId === undefined) return [];
  const addresses = Object.values(NetworkSettings?.Networks ?? {}).map(({ IPAddress }) => IPAddress);
  return [
    {
      name: (Names[0] ?? '').replace(/^\//, ''),
      deploymentId,
      environmentId: Labels?.[LABEL.environment] ?? '',
      projectId: Labels?.[LABEL.project] ?? '',
      running: State === 'running',
      address: addresses.find((address) => address !== '') ?? null,
    },
  ];
}

/** The hosts and their state. */
import type { Host, Upgrade } from '../../../api/schemas.ts';
import { humanSize } from '../../../../protocol/size.ts';
import { hostHints } from '../../../cli/text/host-hints.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useScope } from '../api/session.ts';
import { Facts } from '../components/facts.tsx';
import { PageHead } from '../components/layout.tsx';
import { Pending } from '../components/pending.tsx';
import { ErrorCard, Mend, Words } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';
import { Age } from '../components/time.tsx';
import { isOpen, UpgradeButton, UpgradePanel } from '../upgrade/panel.tsx';

const REFRESH_MS = 5000;

export function HostsPage() {
  const hosts = useResource('hosts', (signal) => call<Host[]>('GET', '/hosts', undefined, signal), REFRESH_MS);
  const upgrades = useResource(
    'upgrades',
    (signal) => call<Upgrade[]>('GET', '/upgrades', undefined, signal),
    REFRESH_MS,
  );
  const reload = (): void => {
    hosts.reload();
    upgrades.reload();
  };
  const upgrade = upgrades.data?.find(isOpen);
  // One upgrade at a time: no buttons for another one while one is open.
  const mayBegin = useScope('admin') && upgrades.data !== undefined && upgrade === undefined;
  const begin = mayBegin ? reload : undefined;
  const versions = hosts.data?.flatMap(({ upgradeTo }) => upgradeTo ?? []) ?? [];
  return (
    <>
      <PageHead title="Hosts">
        {begin && versions.length > 1 && <UpgradeButton version={versions[0] ?? ''} done={begin} />}
      </PageHead>
      {upgrade && <UpgradePanel upgrade={upgrade} done={reload} />}
      <Pending of={hosts.error ? hosts : upgrades} />
      {hosts.data?.length === 0 && (
        <section class="card empty">
          <h2>No hosts yet</h2>
          <p>Add one from a terminal; it prints the command to run there:</p>
          <pre tabIndex={0}>{`orkestr login ${location.origin}\norkestr hosts add vps-1`}</pre>
        </section>
      )}
      <ul class="hosts">
        {hosts.data?.map((host) => (
          <HostCard key={host.id} host={host} begin={begin} />
        ))}
      </ul>
    </>
  );
}

function HostCard({ host, begin }: { host: Host; begin: (() => void) | undefined }) {
  const { status } = host;
  return (
    <li class="card host">
      <header class="section-head">
        <h2>{host.name}</h2>
        {host.enrolled ? (
          <Status status={stateOf(host)} />
        ) : (
          <Status status="waiting" text="waits for its agent to join" />
        )}
        {host.lastSeenAt !== null && (
          <span class="faint">
            seen <Age at={host.lastSeenAt} />
          </span>
        )}
        {begin && host.online && host.upgradeTo !== null && (
          <span class="actions">
            <UpgradeButton version={host.upgradeTo} host={host} done={begin} />
          </span>
        )}
      </header>
      {host.refusal !== null && <ErrorCard error={host.refusal} title="Why it is refused" />}
      <Hints of={host} />
      {status && (
        <>
          <Facts
            of={[
              ['Agent', host.agentVersion],
              [
                'Docker Engine',
                status.engine.reachable ? (status.engine.version ?? 'up') : <Status status="offline" text="down" />,
              ],
              ['Proxy', status.proxy.reachable ? 'up' : <Status status="offline" text="down" />],
              ['Builds', host.builds ? 'its own images' : 'no: other hosts build for it'],
              ['cgroup', `v${status.cgroupVersion}`],
              ['Reports waiting', status.outbox > 0 && String(status.outbox)],
            ]}
          />
          <Usage name="Memory" total={status.memory.totalBytes} free={status.memory.availableBytes} />
          <Usage name="Disk" total={status.disk.totalBytes} free={status.disk.availableBytes} />
        </>
      )}
    </li>
  );
}

/** What a person must do there, and how. */
function Hints({ of }: { of: Host }) {
  return (
    <>
      {hostHints(of).map(({ says, mend }) => (
        <p key={says} class="warning host-warning">
          <Words of={says} /> {mend && <Mend code={mend} />}
        </p>
      ))}
    </>
  );
}

function stateOf({ online, refusal }: Host): 'online' | 'refused' | 'offline' {
  if (online) return 'online';
  return refusal === null ? 'offline' : 'refused';
}

function Usage({ name, total, free }: { name: string; total: number; free: number }) {
  return (
    <div class="usage">
      <span aria-hidden="true">{name}</span>
      <meter aria-label={`${name} used`} min={0} max={total} high={total * 0.85} optimum={0} value={total - free} />
      <span class="number faint">
        {humanSize(free)} of {humanSize(total)} free
      </span>
    </div>
  );
}

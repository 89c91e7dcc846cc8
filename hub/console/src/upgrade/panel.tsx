/** The open upgrade of hosts: the state of each host, and the possible actions. */
import type { Upgrade } from '../../../api/schemas.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useScope } from '../api/session.ts';
import { ActionButton } from '../components/action-button.tsx';
import { ErrorCard } from '../components/problem.tsx';
import { Status } from '../components/status.tsx';

export const isOpen = ({ state }: Upgrade): boolean => state === 'running' || state === 'paused';

export function UpgradePanel({ upgrade, done }: { upgrade: Upgrade; done: () => void }) {
  const mayAct = useScope('admin');
  const ask = async (what: string, body: unknown = {}): Promise<void> => {
    await call('POST', `${apiPath('upgrades', upgrade.id)}/${what}`, body);
    done();
  };
  const failed = upgrade.hosts.filter(({ state }) => state === 'failed' || state === 'reverted');
  const confirm = {
    question: `End the upgrade to ${upgrade.version}? Hosts that are upgrading finish.`,
    yes: 'End it',
  };
  return (
    <section class="card section" aria-label={`Upgrade to ${upgrade.version}`}>
      <header class="section-head">
        <h2>Upgrade to {upgrade.version}</h2>
        <Status status={upgrade.state} />
        {mayAct && (
          <span class="actions">
            {upgrade.state === 'paused' && (
              <ActionButton tone="primary" act={() => ask('resume')}>
                {failed.length > 0 ? 'Try again' : 'Go on'}
              </ActionButton>
            )}
            {failed.length > 0 && (
              <ActionButton act={() => ask('skip', { hosts: failed.map(({ id }) => id) })}>
                Skip failed hosts
              </ActionButton>
            )}
            <ActionButton tone="danger" act={() => ask('cancel')} confirm={confirm}>
              End it
            </ActionButton>
          </span>
        )}
      </header>
      <ol class="upgrade-hosts">
        {upgrade.hosts.map(({ id, name, state, error }) => (
          <li key={id}>
            <span class="upgrade-host">
              {name} <Status status={state} />
            </span>
            {error !== null && <ErrorCard error={error} title={`${name}: why`} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

/** Starts an upgrade; `host` absent: all joined hosts that are not newer. */
export function UpgradeButton({
  version,
  host,
  done,
}: {
  version: string;
  host?: { id: string; name: string };
  done: () => void;
}) {
  const begin = async (): Promise<void> => {
    await call('POST', '/upgrades', { version, ...(host && { hosts: [host.id] }) });
    done();
  };
  const what = host ? host.name : 'all hosts, one after another';
  const confirm = { question: `Upgrade ${what} to ${version}? Apps keep serving.`, yes: 'Upgrade' };
  return (
    <ActionButton act={begin} confirm={confirm} label={`Upgrade ${host ? host.name : 'all'} to ${version}`}>
      Upgrade {host ? `to ${version}` : `all to ${version}`}
    </ActionButton>
  );
}

/** Receivers of a project's notifications: its own, and those of the team. */
import { useState } from 'preact/hooks';
import type { MadeReceiver, Receiver } from '../../../api/schemas.ts';
import { deliveryLine, troubleOf } from '../../../cli/text/receiver-lines.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useScope } from '../api/session.ts';
import { ActionButton } from '../components/action-button.tsx';
import { EntryForm } from '../components/entry-form.tsx';
import { ApiProblem, Mend } from '../components/problem.tsx';

const REFRESH_MS = 15_000;
const OF_PROJECT = 'this project';
const OF_TEAM = 'all projects and hosts of the team';

/** @param path of the project in the API */
export function Receivers({ path: project }: { path: string }) {
  const mayWrite = useScope('write');
  const mayChangeTeam = useScope('admin');
  const path = `${project}/receivers`;
  const load = (signal: AbortSignal) => call<Receiver[]>('GET', path, undefined, signal);
  const { data, error, reload } = useResource(path, load, REFRESH_MS);
  const [made, setMade] = useState<MadeReceiver>();
  const add = async (given: Readonly<Record<string, string>>): Promise<void> => {
    const { kind = '', address = '', name = '', of = OF_PROJECT } = given;
    const body = { kind, address: address.trim(), ...(name.trim() !== '' && { name: name.trim() }) };
    setMade(await call<MadeReceiver>('POST', of === OF_PROJECT ? path : '/receivers', body));
    reload();
  };
  return (
    <section class="card section" aria-labelledby="receivers">
      <header class="section-head">
        <h2 id="receivers">Notifications</h2>
        <span class="faint">get notified when a deployment fails or a host goes offline</span>
      </header>
      <div class="pad">
        <ApiProblem error={error} />
        {data?.length === 0 && <p class="faint">No receivers yet.</p>}
        {data && data.length > 0 && (
          <table class="entries" aria-label="Notifications">
            <tbody>
              {data.map((receiver) => (
                <ReceiverRow
                  key={`${receiver.name} ${receiver.everywhere}`}
                  path={`${receiver.everywhere ? '/receivers' : path}${apiPath(receiver.name)}`}
                  receiver={receiver}
                  mayChange={receiver.everywhere ? mayChangeTeam : mayWrite}
                  done={reload}
                />
              ))}
            </tbody>
          </table>
        )}
        {mayWrite && (
          <EntryForm
            label="Add a receiver of notifications"
            button="Add"
            fields={[
              { name: 'kind', label: 'Kind', choices: ['slack', 'discord', 'email', 'webhook'] },
              { name: 'address', label: 'URL or e-mail address', kind: 'password' },
              { name: 'name', label: 'Name', placeholder: 'as its kind', optional: true },
              ...(mayChangeTeam ? [{ name: 'of', label: 'Notify about', choices: [OF_PROJECT, OF_TEAM] }] : []),
            ]}
            add={add}
          />
        )}
        {made?.secret && <Secret of={made.name} secret={made.secret} forget={() => setMade(undefined)} />}
      </div>
    </section>
  );
}

/** The hub never shows it again. */
function Secret({ of, secret, forget }: { of: string; secret: string; forget: () => void }) {
  return (
    <div class="notice" role="status">
      <p>
        The messages to {of} are signed. The secret to verify the signatures, shown only once: <code>{secret}</code>
      </p>
      <button class="button" onClick={forget}>
        I have saved it
      </button>
    </div>
  );
}

interface RowProps {
  /** Of the receiver in the API. */
  readonly path: string;
  readonly receiver: Receiver;
  readonly mayChange: boolean;
  readonly done: () => void;
}

function ReceiverRow({ path, receiver, mayChange, done }: RowProps) {
  const { name, kind, address, everywhere, deliveries } = receiver;
  const [last] = deliveries;
  const [isTried, setTried] = useState(false);
  const trial = async (): Promise<void> => {
    setTried(false);
    await call('POST', `${path}/test`, {});
    setTried(true);
  };
  const remove = async (): Promise<void> => {
    await call('DELETE', path);
    done();
  };
  return (
    <tr>
      <th scope="row">
        <code>{name}</code>
      </th>
      <td>
        {kind} to {address}
        {everywhere && ' (of the team)'}
        {troubleOf(receiver).map(({ says, code }) => (
          <p key={says} class="card error" role="alert">
            {says} <Mend code={code} />
          </p>
        ))}
      </td>
      <td class="faint">
        {last === undefined ? 'nothing yet' : deliveryLine(last, Date.now())}
        {isTried && <p role="status">Test sent.</p>}
      </td>
      <td class="row-actions">
        {mayChange && (
          <>
            <ActionButton act={trial} label={`Send a test to ${name}`}>
              Send a test
            </ActionButton>
            <ActionButton
              tone="danger"
              act={remove}
              confirm={{ question: `Remove ${name}? It will get no more notifications.`, yes: 'Remove it' }}
              label={`Remove ${name}`}
            >
              Remove
            </ActionButton>
          </>
        )}
      </td>
    </tr>
  );
}

/** Variables and build secrets of an environment: their names, and forms to set and remove them. */
import { useState } from 'preact/hooks';
import type { Variable } from '../../../api/schemas.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useScope } from '../api/session.ts';
import { EntryForm } from '../components/entry-form.tsx';
import { EntryTable } from '../components/entry-table.tsx';
import { ApiProblem } from '../components/problem.tsx';

const KINDS = [
  { kind: 'app', title: 'Variables', about: 'In the environment of the app.' },
  { kind: 'build', title: 'Build secrets', about: 'Visible to build commands only, not to the app.' },
] as const satisfies readonly { kind: Variable['kind']; title: string; about: string }[];

/** Loaded when opened: most visits are about deployments. */
export function Variables({ path, environment }: { path: string; environment: string }) {
  const [open, setOpen] = useState(false);
  return (
    <details class="settings pad" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Variables and build secrets</summary>
      {open && <Kinds path={`${path}${apiPath('environments', environment, 'variables')}`} environment={environment} />}
    </details>
  );
}

function Kinds({ path, environment }: { path: string; environment: string }) {
  const mayWrite = useScope('write');
  const { data, error, reload } = useResource(path, (signal) => call<Variable[]>('GET', path, undefined, signal));
  const change = async (kind: Variable['kind'], variables: Record<string, string | null>): Promise<void> => {
    await call('PATCH', path, { kind, variables });
    reload();
  };
  return (
    <>
      <ApiProblem error={error} />
      {data &&
        KINDS.map(({ kind, title, about }) => (
          <section key={kind} aria-label={`${title} of ${environment}`}>
            <h3>{title}</h3>
            <p class="faint">{about} Values are written, never shown; used from the next deployment on.</p>
            <EntryTable
              caption={`${title} of ${environment}`}
              entries={data.filter((one) => one.kind === kind)}
              empty="None yet."
              remove={mayWrite ? (name) => change(kind, { [name]: null }) : undefined}
            />
            {mayWrite && (
              <EntryForm
                label={`Set one of the ${title.toLowerCase()} of ${environment}`}
                button="Set"
                fields={[
                  { name: 'name', label: 'Name', placeholder: 'NPM_TOKEN' },
                  { name: 'value', label: 'Value', kind: 'lines' },
                ]}
                add={({ name = '', value = '' }) => change(kind, { [name.trim()]: value })}
              />
            )}
          </section>
        ))}
    </>
  );
}

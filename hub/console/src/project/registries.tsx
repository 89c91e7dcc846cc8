/** Registry logins of a project: for private base images, and for pushing built images. */
import type { RegistryEntry } from '../../../api/schemas.ts';
import { apiPath } from '../../../api/paths.ts';
import { call } from '../api/client.ts';
import { useResource } from '../api/resource.ts';
import { useScope } from '../api/session.ts';
import { EntryForm } from '../components/entry-form.tsx';
import { EntryTable } from '../components/entry-table.tsx';
import { ApiProblem } from '../components/problem.tsx';

/** @param path of the project in the API */
export function Registries({ path: project }: { path: string }) {
  const mayWrite = useScope('write');
  const path = `${project}/registries`;
  const { data, error, reload } = useResource(path, (signal) => call<RegistryEntry[]>('GET', path, undefined, signal));
  const remove = async (host: string): Promise<void> => {
    await call('DELETE', `${path}${apiPath(host)}`);
    reload();
  };
  const add = async ({ host = '', username = '', password = '' }: Readonly<Record<string, string>>): Promise<void> => {
    await call('PUT', `${path}${apiPath(host.trim())}`, { username, password });
    reload();
  };
  return (
    <section class="card section" aria-labelledby="registries">
      <header class="section-head">
        <h2 id="registries">Registry logins</h2>
        <span class="faint">for private base images, and for pushing built images</span>
      </header>
      <div class="pad">
        <ApiProblem error={error} />
        {data && (
          <EntryTable
            caption="Registry logins"
            entries={data.map(({ host, username, updatedAt }) => ({ name: host, detail: username, updatedAt }))}
            empty="None: images are pulled without a login."
            remove={mayWrite ? remove : undefined}
          />
        )}
        {mayWrite && (
          <EntryForm
            label="Set the login for a registry"
            button="Set"
            fields={[
              { name: 'host', label: 'Registry', placeholder: 'registry.example.com:5000' },
              { name: 'username', label: 'User name' },
              { name: 'password', label: 'Password', kind: 'password' },
            ]}
            add={add}
          />
        )}
      </div>
    </section>
  );
}

/** The external repository of a project: its URL, and the token that reads it. */
import type { Project } from '../../../api/schemas.ts';
import { call } from '../api/client.ts';
import { useScope } from '../api/session.ts';
import { ActionButton } from '../components/action-button.tsx';
import { EntryForm } from '../components/entry-form.tsx';
import { Facts } from '../components/facts.tsx';

interface Props {
  /** Of the project in the API. */
  readonly path: string;
  readonly of: Project;
  readonly reload: () => void;
}

export function Repository({ path, of: { repositoryUrl, hasRepositoryToken }, reload }: Props) {
  const mayWrite = useScope('write');
  const change = async (repository: object): Promise<void> => {
    await call('PATCH', path, { repository });
    reload();
  };
  const set = ({ url = '', username = '', token = '' }: Readonly<Record<string, string>>): Promise<void> =>
    change({
      url: url.trim() || undefined,
      auth: token || username ? { username: username || undefined, token } : undefined,
    });
  const confirm = {
    question: 'Remove the token? The next deployment will read the repository without it.',
    yes: 'Remove it',
  };
  return (
    <section class="card section" aria-labelledby="repository">
      <header class="section-head">
        <h2 id="repository">Repository</h2>
        {mayWrite && hasRepositoryToken && (
          <span class="actions">
            <ActionButton tone="danger" act={() => change({ auth: null })} confirm={confirm}>
              Remove the token
            </ActionButton>
          </span>
        )}
      </header>
      <div class="pad">
        <Facts
          of={[
            ['Address', repositoryUrl],
            ['Read with', hasRepositoryToken ? 'a token' : 'no token'],
          ]}
        />
        {mayWrite && (
          <EntryForm
            label="Set the address or the token of the repository"
            button="Set"
            fields={[
              { name: 'url', label: 'Another address', placeholder: repositoryUrl ?? '', optional: true },
              { name: 'username', label: 'User name', placeholder: 'git', optional: true },
              { name: 'token', label: 'Token', kind: 'password', optional: true },
            ]}
            add={set}
          />
        )}
      </div>
    </section>
  );
}

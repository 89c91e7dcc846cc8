/**
 * The form for an API token. The token is exchanged for a session cookie that scripts cannot read, and is stored
 * nowhere.
 */
import { useId, useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { useSession } from '../api/session.ts';
import { ApiProblem } from './problem.tsx';

export function LoginForm() {
  const { logIn } = useSession();
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const field = new FormData(event.currentTarget as HTMLFormElement).get('token');
    setBusy(true);
    setError(undefined);
    try {
      await logIn(typeof field === 'string' ? field.trim() : '');
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form class="login-form" onSubmit={(event) => void onSubmit(event)}>
      <label for={id}>API token</label>
      <input
        id={id}
        name="token"
        type="password"
        autocomplete="current-password"
        placeholder="ork_…"
        required
        autofocus
      />
      <button class="button" data-tone="primary" disabled={busy}>
        Log in
      </button>
      <ApiProblem error={error} />
    </form>
  );
}

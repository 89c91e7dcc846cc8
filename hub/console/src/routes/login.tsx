/** Log in by pasting an API token. It becomes a session cookie that scripts cannot read, and is kept nowhere else. */
import { useState } from 'preact/hooks';
import { ApiError } from '../api/client.ts';
import { useSession } from '../api/session.ts';
import { ApiProblem } from '../components/problem.tsx';

export function LoginPage() {
  const { logIn } = useSession();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const onSubmit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const field = new FormData(event.currentTarget as HTMLFormElement).get('token');
    setBusy(true);
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
    <main class="login">
      <form class="card login-card" onSubmit={(event) => void onSubmit(event)}>
        <h1 class="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" /> orkestr
        </h1>
        <label for="token">API token</label>
        <input
          id="token"
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
        <p class="hint">
          The first token was printed when the hub was set up. Make more with <code>orkestr tokens create</code>.
        </p>
      </form>
    </main>
  );
}

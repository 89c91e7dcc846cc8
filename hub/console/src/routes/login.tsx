/** Login by pasting an API token: as a page of its own, or in front of a page whose session has ended. */
import { useEffect, useRef } from 'preact/hooks';
import { LoginForm } from '../components/login-form.tsx';

export function LoginPage() {
  useEffect(() => {
    document.title = 'Log in · orkestr';
  }, []);
  return (
    <main class="login">
      <section class="card login-card">
        <h1 class="brand">
          <img src="/favicon.svg" alt="" width="28" height="28" /> orkestr
        </h1>
        <LoginForm />
        <p class="hint">
          The first token was printed when the hub was set up; <code>install.sh</code> keeps it in{' '}
          <code>/etc/orkestr/admin-token</code>. Make more with <code>orkestr tokens create</code>.
        </p>
      </section>
    </main>
  );
}

/** The page behind it keeps its input, hidden from view. */
export function LoginDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const show = (): void => dialog.current?.showModal();
  useEffect(show, []);
  return (
    <dialog class="dialog session-ended" ref={dialog} aria-labelledby="session-ended" onClose={show}>
      <section class="login-card">
        <h2 id="session-ended">Your session has ended</h2>
        <p>Log in to continue where you left off. Nothing that you typed is lost.</p>
        <LoginForm />
      </section>
    </dialog>
  );
}

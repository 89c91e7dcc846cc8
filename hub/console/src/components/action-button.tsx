/** A button that calls the hub: it asks first where that matters, cannot be pressed twice, and shows what went wrong. */
import { useRef, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { ApiError } from '../api/client.ts';
import { ApiProblem } from './problem.tsx';

interface Props {
  readonly children: ComponentChildren;
  readonly act: () => Promise<void>;
  /** What to ask before; absent: act at once. */
  readonly confirm?: { readonly question: string; readonly yes: string };
  readonly tone?: 'primary' | 'danger';
  /** For a button whose text alone does not say what it is about. */
  readonly label?: string;
}

export function ActionButton({ children, act, confirm, tone, label }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const dialog = useRef<HTMLDialogElement>(null);
  const run = async (): Promise<void> => {
    setBusy(true);
    setError(undefined);
    try {
      await act();
      dialog.current?.close();
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      setError(thrown);
      dialog.current?.showModal();
    } finally {
      setBusy(false);
    }
  };
  const onClick = (): void => {
    if (confirm) dialog.current?.showModal();
    else void run();
  };
  return (
    <>
      <button type="button" class="button" data-tone={tone} aria-label={label} disabled={busy} onClick={onClick}>
        {children}
      </button>
      <dialog
        class="dialog"
        ref={dialog}
        aria-label={confirm?.question ?? 'It did not work'}
        onClose={() => setError(undefined)}
      >
        {confirm && <p>{confirm.question}</p>}
        <ApiProblem error={error} />
        <div class="dialog-actions">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            {confirm ? 'Leave it' : 'Close'}
          </button>
          {confirm && (
            <button
              type="button"
              class="button"
              data-tone={tone ?? 'primary'}
              disabled={busy}
              onClick={() => void run()}
            >
              {confirm.yes}
            </button>
          )}
        </div>
      </dialog>
    </>
  );
}

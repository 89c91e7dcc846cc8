/** A button that calls the hub: asks for confirmation if required, cannot be pressed twice, and shows errors. */
import { useEffect, useRef } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import { useAction } from '../api/action.ts';
import { ApiProblem } from './problem.tsx';

interface Props {
  readonly children: ComponentChildren;
  readonly act: () => Promise<void>;
  /** The confirmation to ask for; absent: act at once. */
  readonly confirm?: { readonly question: string; readonly yes: string };
  readonly tone?: 'primary' | 'danger';
  /** For a button whose text alone is ambiguous. */
  readonly label?: string;
}

export function ActionButton({ children, act, confirm, tone, label }: Props) {
  const { busy, error, run, clear } = useAction();
  const dialog = useRef<HTMLDialogElement>(null);
  const start = async (): Promise<void> => {
    if (await run(act)) dialog.current?.close();
  };
  useEffect(() => {
    if (error !== undefined) dialog.current?.showModal();
  }, [error]);
  const onClick = (): void => {
    if (confirm) dialog.current?.showModal();
    else void start();
  };
  return (
    <>
      <button type="button" class="button" data-tone={tone} aria-label={label} disabled={busy} onClick={onClick}>
        {children}
      </button>
      <dialog class="dialog" ref={dialog} aria-label={confirm?.question ?? 'It did not work'} onClose={clear}>
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
              onClick={() => void start()}
            >
              {confirm.yes}
            </button>
          )}
        </div>
      </dialog>
    </>
  );
}

/** An action of the user: one call at a time, with its error. */
import { useState } from 'preact/hooks';
import { ApiError } from './client.ts';
import { useSession } from './session.ts';

interface Action {
  readonly busy: boolean;
  readonly error: ApiError | undefined;
  /** True on success. An ended session is no error: the login appears, and the user can try again. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
  /** Discards the error. */
  readonly clear: () => void;
}

export function useAction(): Action {
  const { end } = useSession();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError>();
  const run = async (work: () => Promise<void>): Promise<boolean> => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      return true;
    } catch (thrown) {
      if (!(thrown instanceof ApiError)) throw thrown;
      if (thrown.status === 401) end();
      else setError(thrown);
      return false;
    } finally {
      setBusy(false);
    }
  };
  return { busy, error, run, clear: () => setError(undefined) };
}

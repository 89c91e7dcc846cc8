/** Something that a person asked the hub for: one call at a time, and what went wrong. */
import { useState } from 'preact/hooks';
import { ApiError } from './client.ts';
import { useSession } from './session.ts';

interface Action {
  readonly busy: boolean;
  readonly error: ApiError | undefined;
  /** True when it worked. A session that has ended is no error: the login comes up, and it can be asked for again. */
  readonly run: (work: () => Promise<void>) => Promise<boolean>;
  /** Forgets the error. */
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

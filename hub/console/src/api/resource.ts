/** Something of the API that a page shows and keeps fresh. */
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './client.ts';
import { useSession } from './session.ts';

export interface Resource<T> {
  readonly data: T | undefined;
  /** The last attempt's error; `data` may still hold what was known before. */
  readonly error: ApiError | undefined;
  readonly reload: () => void;
}

/** Loads at once, again whenever `key` changes, and every `everyMs` while the page is in sight. */
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Resource<T> {
  const session = useSession();
  const [state, setState] = useState<{ key: string; data?: T; error?: ApiError }>({ key });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      try {
        const data = await load(abort.signal);
        if (!abort.signal.aborted) setState({ key, data });
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 401) session.forget();
        setState((before) => ({ ...before, key, error }));
      }
      if (everyMs !== undefined && !abort.signal.aborted) timer = setTimeout(next, everyMs);
    };
    const next = (): void => {
      if (document.visibilityState === 'visible') void run();
      else document.addEventListener('visibilitychange', next, { once: true });
    };
    void run();
    return () => {
      abort.abort();
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', next);
    };
    // `load` is a new function at every render; `key` says when it means something else.
  }, [key, turn, everyMs]);
  return { data: state.key === key ? state.data : undefined, error: state.error, reload: () => setTurn((n) => n + 1) };
}

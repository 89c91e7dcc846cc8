/** A resource of the API that a page shows and keeps fresh. */
import { useEffect, useState } from 'preact/hooks';
import { ApiError } from './client.ts';
import { useSession, useSessionEnded } from './session.ts';

export interface Resource<T> {
  readonly data: T | undefined;
  /** Error of the last attempt; `data` may still hold the previous result. */
  readonly error: ApiError | undefined;
  readonly reload: () => void;
}

/** Pause between attempts while the hub does not answer, ms. */
const RETRY_MS = 5000;

/**
 * Loads at once, again whenever `key` changes or a user logs in again, and every `everyMs` while the page is visible.
 * Retries until the hub answers.
 */
export function useResource<T>(key: string, load: (signal: AbortSignal) => Promise<T>, everyMs?: number): Resource<T> {
  const { end } = useSession();
  const ended = useSessionEnded();
  const [state, setState] = useState<{ key: string; data?: T; error?: ApiError }>({ key });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (ended) return undefined;
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const run = async (): Promise<void> => {
      let waitMs = everyMs;
      try {
        const data = await load(abort.signal);
        if (!abort.signal.aborted) setState({ key, data });
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        if (error.status === 401) return end();
        // A deleted resource disappears; on other errors the last known data stays.
        setState((before) => (before.key === key && error.status !== 404 ? { ...before, error } : { key, error }));
        if (isPassing(error)) waitMs ??= RETRY_MS;
      }
      if (waitMs !== undefined && !abort.signal.aborted) timer = setTimeout(next, waitMs);
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
    // `load` is a new function in every render; `key` changes when its meaning does.
  }, [key, turn, everyMs, ended]);
  const known = state.key === key ? state : undefined;
  return { data: known?.data, error: known?.error, reload: () => setTurn((n) => n + 1) };
}

/** No response, one of a reverse proxy, or an error inside the hub. */
const isPassing = ({ status }: ApiError): boolean => status === 0 || status >= 500;

/** Live events of the hub. EventSource resumes with Last-Event-ID by itself when the connection is lost. */
import { apiUrl } from './client.ts';

interface StreamListener<T> {
  event(event: T): void;
  /** Nothing comes after it. */
  isEnd(event: T): boolean;
  /** Whether the connection stands. */
  connected(connected: boolean): void;
  /** The hub has answered with an error, which EventSource does not tell. It is asked again soon. */
  refused?(): void;
}

/** EventSource gives up for good when the hub answers with an error; then we begin anew after this long. */
const RETRY_MS = 3000;

/**
 * Listens to what is at a path of the API until its end or until the returned function is called. Not while the page is out of sight: a
 * browser keeps six connections to a server at most, all tabs together, and pages that nobody sees would leave none.
 */
export function listen<T>(path: string, listener: StreamListener<T>): () => void {
  const url = apiUrl(path);
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let lastId = '';
  const close = (): void => {
    source?.close();
    clearTimeout(retry);
  };
  const open = (): void => {
    const after = `${url.includes('?') ? '&' : '?'}after=${encodeURIComponent(lastId)}`;
    source = new EventSource(lastId === '' ? url : url + after);
    source.addEventListener('open', () => listener.connected(true));
    source.addEventListener('error', () => {
      listener.connected(false);
      if (source?.readyState !== EventSource.CLOSED) return;
      listener.refused?.();
      retry = setTimeout(open, RETRY_MS);
    });
    source.addEventListener('message', (message: MessageEvent<string>) => {
      lastId = message.lastEventId || lastId; // the last event has none
      const event = JSON.parse(message.data) as T;
      if (listener.isEnd(event)) stop();
      listener.event(event);
    });
  };
  const onSight = (): void => {
    close();
    if (document.visibilityState === 'visible') open();
  };
  const stop = (): void => {
    close();
    document.removeEventListener('visibilitychange', onSight);
  };
  document.addEventListener('visibilitychange', onSight);
  onSight();
  return stop;
}

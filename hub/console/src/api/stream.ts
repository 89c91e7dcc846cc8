/** Live events of the hub. EventSource resumes with Last-Event-ID by itself when the connection is lost. */
import { apiUrl } from './client.ts';

interface StreamListener<T> {
  event(event: T): void;
  /** Whether it is the last event. */
  isEnd(event: T): boolean;
  /** Called when the connection opens or is lost. */
  connected(connected: boolean): void;
  /** The hub answered with an error, which EventSource does not expose. The stream is retried soon. */
  refused?(): void;
}

/** EventSource gives up for good on an error response; a new one is opened after this pause, ms. */
const RETRY_MS = 3000;

/**
 * Listens to an event stream of the API until its end or until the returned function is called. Pauses while the page
 * is hidden: a browser allows six connections per server across all tabs, and hidden pages could use them up.
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

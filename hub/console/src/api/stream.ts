/** The live events of a deployment. EventSource resumes with Last-Event-ID by itself when the connection is lost. */
import type { DeploymentEvent } from '../../../api/schemas.ts';
import { apiPath, apiUrl } from './client.ts';

interface StreamListener {
  event(event: DeploymentEvent): void;
  /** Whether the connection stands. */
  connected(connected: boolean): void;
}

/** EventSource gives up for good when the hub answers with an error; then we begin anew after this long. */
const RETRY_MS = 3000;

/**
 * Listens until the deployment's `end` or until the returned function is called. Not while the page is out of sight: a
 * browser keeps six connections to a server at most, all tabs together, and pages that nobody sees would leave none.
 */
export function listen(deploymentId: string, listener: StreamListener): () => void {
  const url = apiUrl(`${apiPath('deployments', deploymentId)}/events`);
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let lastId = '';
  const close = (): void => {
    source?.close();
    clearTimeout(retry);
  };
  const open = (): void => {
    source = new EventSource(lastId === '' ? url : `${url}?after=${lastId}`);
    source.addEventListener('open', () => listener.connected(true));
    source.addEventListener('error', () => {
      listener.connected(false);
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    });
    source.addEventListener('message', (message: MessageEvent<string>) => {
      lastId = message.lastEventId || lastId; // the last event has none
      const event = JSON.parse(message.data) as DeploymentEvent;
      if (event.kind === 'end') stop();
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

/** The live events of a deployment. EventSource resumes with Last-Event-ID by itself when the connection is lost. */
import type { DeploymentEvent } from '../../../api/schemas.ts';
import { apiPath, apiUrl } from './client.ts';

export interface StreamListener {
  event(event: DeploymentEvent): void;
  /** Whether the connection stands. */
  connected(connected: boolean): void;
}

/** EventSource gives up for good when the hub answers with an error; then we begin anew after this long. */
const RETRY_MS = 3000;

/** Listens until the deployment's `end` or until the returned function is called. */
export function listen(deploymentId: string, listener: StreamListener): () => void {
  let source: EventSource | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  const stop = (): void => {
    source?.close();
    clearTimeout(retry);
  };
  const open = (): void => {
    source = new EventSource(apiUrl(`${apiPath('deployments', deploymentId)}/events`));
    source.addEventListener('open', () => listener.connected(true));
    source.addEventListener('error', () => {
      listener.connected(false);
      // A new EventSource starts from the first event; whoever listens passes over what was seen.
      if (source?.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
    });
    const onMessage = (message: MessageEvent<string>): void => {
      const event = JSON.parse(message.data) as DeploymentEvent;
      listener.event(event);
      if (event.kind === 'end') stop();
    };
    source.addEventListener('message', onMessage);
  };
  open();
  return stop;
}

/** The sessions of connected hosts. A newer session of a host replaces the older one. */
import { CLOSE_REPLACED, type HubMessage } from '../../protocol/agent-link.ts';
import type { AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { ErrorReport } from '../../protocol/errors.ts';
import type { HostLinks, Peer } from '../deps.ts';

export interface Session {
  readonly hostId: string;
  readonly peer: Peer;
  send(message: HubMessage): void;
  readAppLog(request: AppLogRequest): AppLogRead;
  /**
   * `code`: of the WebSocket close frame (RFC 6455 section 7.4). Cuts the connection if the other side does not answer
   * soon.
   */
  close(code: number, reason: string): void;
}

/** Close code for a host that must not reconnect. */
export const CLOSE_REVOKED = 4003;

export class Sessions implements HostLinks {
  readonly #byHost = new Map<string, Session>();
  /** Hosts that proved their key but were refused. In memory only: they keep retrying, so a restart loses nothing. */
  readonly #refusals = new Map<string, ErrorReport>();

  isOnline(hostId: string): boolean {
    return this.#byHost.has(hostId);
  }

  peer(hostId: string): Peer | undefined {
    return this.#byHost.get(hostId)?.peer;
  }

  refusal(hostId: string): ErrorReport | undefined {
    return this.#refusals.get(hostId);
  }

  refused(hostId: string, error: ErrorReport): void {
    this.#refusals.set(hostId, error);
  }

  send(hostId: string, message: HubMessage): boolean {
    const session = this.#byHost.get(hostId);
    session?.send(message);
    return session !== undefined;
  }

  readAppLog(hostId: string, request: AppLogRequest): AppLogRead {
    const session = this.#byHost.get(hostId);
    if (session !== undefined) return session.readAppLog(request);
    throw new OrkestrError(
      'ORK_HOST_OFFLINE',
      'The host is not connected. To read the log without the hub, run `orkestr-agent logs --app PROJECT/ENVIRONMENT` there.',
    );
  }

  add(session: Session): void {
    this.#refusals.delete(session.hostId);
    const older = this.#byHost.get(session.hostId);
    this.#byHost.set(session.hostId, session);
    older?.close(CLOSE_REPLACED, 'a newer session of this host is here');
  }

  /** Only if it is still current: the end of an old session must not remove its successor. */
  remove(session: Session): void {
    if (this.#byHost.get(session.hostId) === session) this.#byHost.delete(session.hostId);
  }

  disconnect(hostId: string, code: number, reason: string): void {
    const session = this.#byHost.get(hostId);
    this.#byHost.delete(hostId);
    this.#refusals.delete(hostId);
    session?.close(code, reason);
  }
}

/** One WebSocket to the hub, from dialling to its end. */
import { WebSocket } from 'ws';
import { AGENT_LINK_PATH, CLOSE_REPLACED, MAX_FRAME_BYTES } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { Conversation } from './conversation.ts';
import type { ConversationOptions } from './conversation.ts';

export interface ConnectionOptions extends ConversationOptions {
  readonly hubUrl: string;
}

/**
 * Connects and stays until the connection ends or `signal` aborts.
 * @returns why it ended; never throws
 */
export function connection(
  options: ConnectionOptions,
  signal: AbortSignal,
  onWelcome: (protocol: number) => void,
): Promise<Error> {
  return new Promise((resolve) => {
    const { handshakeMs, pingMs, deadMs } = options.timing;
    const socket = new WebSocket(linkUrl(options.hubUrl), {
      maxPayload: MAX_FRAME_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: handshakeMs,
    });
    let reason: Error | null = null;
    const end = (error: Error): void => {
      reason ??= error;
      socket.terminate();
    };
    const conversation = new Conversation(options, socket, end, onWelcome);
    const abort = (): void => end(new Error('the agent stops'));
    signal.addEventListener('abort', abort, { once: true });
    // Silence reveals a half-open connection.
    const watch = setInterval(() => conversation.watch(), Math.min(pingMs, deadMs / 3));

    socket.on('message', (data, isBinary) => conversation.take(data, isBinary));
    socket.on('ping', () => conversation.heard());
    socket.on('pong', () => conversation.heard());
    socket.on('error', end);
    socket.on('close', (code, text) => {
      clearInterval(watch);
      signal.removeEventListener('abort', abort);
      conversation.stop();
      resolve(reason ?? closedByHub(code, String(text)));
    });
    if (signal.aborted) abort();
  });
}

/** The agent has one connection at a time, so a newer one for its host comes from another machine. */
const closedByHub = (code: number, text: string): Error =>
  code === CLOSE_REPLACED
    ? new OrkestrError('ORK_HOST_TWICE', 'Another machine has connected to the hub with the identity of this host.')
    : new Error(`the hub closed the connection (${code}${text === '' ? '' : `, ${text}`})`);

/** The URL of the hub's agent socket. */
export function linkUrl(hubUrl: string): URL {
  const url = new URL(AGENT_LINK_PATH, hubUrl);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

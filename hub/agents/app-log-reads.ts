/**
 * Reads of app logs over one connection to a host. Credit bounds the parts that have arrived and wait for their reader.
 */
import { randomUUIDv7 } from 'node:crypto';
import type { HubMessage } from '../../protocol/agent-link.ts';
import { APP_LOG_WINDOW } from '../../protocol/app-log.ts';
import type { AppLogChunk, AppLogEnd, AppLogPart, AppLogRead, AppLogRequest } from '../../protocol/app-log.ts';
import { OrkestrError } from '../../protocol/errors.ts';

interface Open {
  readonly parts: AppLogPart[];
  ended: boolean;
  error: Error | null;
  wake: () => void;
}

export class AppLogReads {
  readonly #send: (message: HubMessage) => void;
  readonly #open = new Map<string, Open>();

  constructor(send: (message: HubMessage) => void) {
    this.#send = send;
  }

  open(request: AppLogRequest): AppLogRead {
    const readId = randomUUIDv7();
    const read: Open = { parts: [], ended: false, error: null, wake: () => undefined };
    this.#open.set(readId, read);
    this.#send({ type: 'app-log', readId, ...request });
    return {
      next: async () => {
        while (read.parts.length === 0 && !read.ended) {
          await new Promise<void>((resolve) => (read.wake = resolve));
        }
        const part = read.parts.shift();
        if (part !== undefined) {
          // The reader has taken the previous part, so there is room for another.
          if (!read.ended) this.#send({ type: 'app-log-credit', readId, chunks: 1 });
          return part;
        }
        if (read.error !== null) throw read.error;
        return null;
      },
      close: () => {
        if (!read.ended) this.#send({ type: 'app-log-close', readId });
        this.#end(readId, null);
      },
    };
  }

  /** @throws OrkestrError ORK_PROTOCOL when the host sent more than its credit */
  chunk({ readId, deploymentId, leftOut, lines }: AppLogChunk): void {
    const read = this.#open.get(readId);
    if (read === undefined) return; // closed while the chunk was in transit
    if (read.parts.length >= APP_LOG_WINDOW) {
      throw new OrkestrError('ORK_PROTOCOL', 'The host sent more of an app log than requested.');
    }
    read.parts.push({ deploymentId, leftOut, lines });
    read.wake();
  }

  ended({ readId, error }: AppLogEnd): void {
    this.#end(readId, error === undefined ? null : new OrkestrError(error.code, error.message, error));
  }

  /** The connection is closed. */
  lost(): void {
    const error = new OrkestrError('ORK_HOST_OFFLINE', 'The connection to the host was lost.');
    for (const readId of this.#open.keys()) this.#end(readId, error);
  }

  #end(readId: string, error: Error | null): void {
    const read = this.#open.get(readId);
    if (read === undefined) return;
    this.#open.delete(readId);
    read.ended = true;
    read.error = error;
    read.wake();
  }
}

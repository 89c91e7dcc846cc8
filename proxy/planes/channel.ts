/** A connection to another of our processes, over the IPC pipe that both were started with. */
import type { ChildProcess } from 'node:child_process';

export interface Channel {
  /** Does nothing once the other end has gone; `onClose` reports that. */
  send(message: object): void;
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
  /** The other end gets its `onClose`. */
  close(): void;
}

/** @param end a child with an IPC pipe, or `process` in such a child */
export function channelOf(end: ChildProcess | NodeJS.Process): Channel {
  if (!end.connected || !end.send) throw new TypeError('this process has no pipe to another one');
  return {
    send: (message) => {
      // If the pipe breaks during a write, `disconnect` follows and says it all.
      if (end.connected) end.send?.(message, undefined, undefined, () => undefined);
    },
    onMessage: (listener) => void (end as ChildProcess).on('message', listener),
    onClose: (listener) => void (end as ChildProcess).on('disconnect', listener),
    close: () => {
      if (end.connected) end.disconnect?.();
    },
  };
}

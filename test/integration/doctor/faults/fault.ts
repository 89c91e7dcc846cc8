/** A real fault, the name under which the doctor must find it, and the fix that it must offer. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Changes, Host } from '../host.ts';

/** Registers work that removes a fault again. */
export type Undo = (work: () => unknown) => void;

export interface Fault {
  readonly name: string;
  /** Injects the fault. Work passed to `undo` runs in reverse order, even when this throws. */
  inject(host: Host, undo: Undo): Promise<Changes | void> | Changes | void;
  /** Names of all problems that the doctor then finds in addition to those of the healthy host. */
  readonly finds: readonly string[];
  /** Matches the fix for the first problem. */
  readonly mend: RegExp;
  /** Matches the evidence or sentence of the first problem. */
  readonly tells?: RegExp;
}

/** Long enough for everything that does answer on a busy machine, ms. */
export const HUNG_MS = 4000;

/** Starts a server on its own port; it is closed with the fault. */
export async function listen(server: Server, undo: Undo): Promise<number> {
  undo(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

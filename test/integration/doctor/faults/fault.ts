/** What is broken for real, by what name the doctor must find it, and which mend it must give. */
import { once } from 'node:events';
import type { AddressInfo, Server } from 'node:net';
import type { Changes, Host } from '../host.ts';

/** Takes what takes a fault away again. */
export type Undo = (work: () => unknown) => void;

export interface Fault {
  readonly name: string;
  /** Puts it in. `undo` takes what was given to it, the last first, also when this throws. */
  inject(host: Host, undo: Undo): Promise<Changes | void> | Changes | void;
  /** Names of everything that the doctor finds then, beside what it finds on the well host. */
  readonly finds: readonly string[];
  /** In the mend of the first of them. */
  readonly mend: RegExp;
  /** In the evidence or sentence of the first of them. */
  readonly tells?: RegExp;
}

/** Long enough for all that does answer on a busy machine, ms. */
export const HUNG_MS = 4000;

/** A server on a port of its own that goes with the fault. */
export async function listen(server: Server, undo: Undo): Promise<number> {
  undo(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

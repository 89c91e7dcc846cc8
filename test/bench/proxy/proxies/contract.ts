/** What the bench requires of every proxy. */
import type { Lab } from '../lab.ts';
import type { ServerProcess } from '../server-process.ts';

export interface RunningProxy {
  readonly process: ServerProcess;
  /** Ports on 127.0.0.1. `https` is null if the proxy has no TLS listener: such cases are not measured. */
  readonly ports: { readonly http: number; readonly https: number | null };
}

/** Starts a proxy, ready to serve `localhost` from the lab's upstream, on the proxy's core. */
export type StartProxy = (lab: Lab) => Promise<RunningProxy>;

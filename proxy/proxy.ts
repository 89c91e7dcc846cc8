/** The whole proxy of one process, put together. Tests start it in their own process. */
import type { AddressInfo } from 'node:net';
import { OrkestrError } from '../protocol/errors.ts';
import type { Logger } from '../protocol/service/logger.ts';
import { serveAdmin } from './admin.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { FailureLog } from './failure-log.ts';
import { makeGuardedForward } from './forward/guard.ts';
import { Edge } from './server.ts';
import { TableFile } from './table-file.ts';
import { Table } from './table.ts';

export interface Proxy {
  readonly addresses: readonly AddressInfo[];
  readonly table: Table;
  /** Drains the listeners, then closes. */
  close(): Promise<void>;
}

/**
 * Restores the table, takes the admin socket (there can be one proxy), and listens.
 * @throws OrkestrError ORK_ALREADY_RUNNING, ORK_CONFIG when an address cannot be had
 */
export async function startProxy(
  config: Pick<Config, 'listen' | 'inherited' | 'adminSocket' | 'stateDirectory' | 'limits' | 'timeouts'>,
  log: Logger,
  clock: Clock,
): Promise<Proxy> {
  const { limits, timeouts } = config;
  const table = await Table.restore(new TableFile(config.stateDirectory, log), clock);
  const forward = makeGuardedForward(limits, timeouts);
  const edge = new Edge({ table, forward, failures: new FailureLog(log, clock), limits, timeouts });
  const admin = await serveAdmin(config.adminSocket, table, log);
  const listeners = config.inherited.length > 0 ? config.inherited.map((fd) => ({ fd })) : [config.listen];
  const addresses: AddressInfo[] = [];
  try {
    for (const listener of listeners) addresses.push(await edge.listen(listener));
  } catch (error) {
    await Promise.all([admin.close(), edge.close()]);
    throw new OrkestrError('ORK_CONFIG', `The proxy cannot listen (ORKESTR_PROXY_LISTEN): ${String(error)}.`, {
      cause: error,
    });
  }
  return {
    addresses,
    table,
    close: async () => {
      await edge.close();
      await admin.close();
    },
  };
}

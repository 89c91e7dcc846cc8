/** The whole proxy of one process, put together. Tests start it in their own process. */
import type { AddressInfo } from 'node:net';
import { OrkestrError } from '../protocol/errors.ts';
import type { Logger } from '../protocol/service/logger.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import type { Context } from './context.ts';
import { serveAdmin } from './control/admin.ts';
import { TableFile } from './control/table-file.ts';
import { Table } from './control/table.ts';
import { FailureLog } from './failure-log.ts';
import { Edge } from './listen/edge.ts';
import type { Observer } from './observe/observer.ts';
import { Plane } from './plane.ts';
import { localPlanes } from './planes/local.ts';
import { ClientRates } from './policy/client-rates.ts';
import { makeCompiler } from './routing/compile.ts';

export interface Proxy {
  readonly addresses: readonly AddressInfo[];
  readonly table: Table;
  readonly plane: Plane;
  /** Drains the listeners, then closes. */
  close(): Promise<void>;
}

type Settings = Pick<
  Config,
  'listen' | 'inherited' | 'engine' | 'adminSocket' | 'stateDirectory' | 'limits' | 'timeouts'
>;

/**
 * Restores the table, takes the admin socket (there can be one proxy), and listens.
 * @throws OrkestrError ORK_ALREADY_RUNNING, ORK_CONFIG when an address cannot be had
 */
export async function startProxy(config: Settings, log: Logger, clock: Clock): Promise<Proxy> {
  const observer: Observer = {
    upstream: () => ({ ended: () => undefined }),
    unrouted: () => undefined,
    forget: () => undefined,
  };
  const plane = new Plane(
    clock,
    observer,
    makeCompiler(config.timeouts, {
      clock,
      hasCertificate: null,
      isOpenChallenge: null,
      httpsPort: 443,
      rates: new ClientRates(),
      shareOf: 1,
    }),
  );
  const planes = localPlanes(plane, () => ({ families: [] }));
  const table = await Table.restore(new TableFile(config.stateDirectory, log), planes, clock);
  const context: Context = {
    plane,
    observer,
    clock,
    failures: new FailureLog(log, clock),
    limits: config.limits,
    timeouts: config.timeouts,
    terminator: null,
    tableUnreadable: () => table.unreadable !== null,
  };
  const edge = new Edge(context, { engine: config.engine, trusted: [], proxyProtocol: false }, null);
  const control = { table, planes, certificates: () => ({ certificates: [], missing: [] }) };
  const admin = await serveAdmin(config.adminSocket, control, log);
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
    plane,
    close: async () => {
      await edge.close();
      await admin.close();
    },
  };
}

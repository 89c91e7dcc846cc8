/** The part of a process that serves visitors: a plane, and the listeners in front of it. */
import type { AddressInfo } from 'node:net';
import type { Logger } from '../protocol/service/logger.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { FailureLog } from './engine/failure-log.ts';
import { Edge } from './listen/edge.ts';
import type { ListenSocket } from './listen/sockets.ts';
import { EdgeObserver } from './observe/edge-observer.ts';
import { planeFamilies } from './observe/plane-metrics.ts';
import { Plane } from './plane.ts';
import { localPlanes } from './planes/local.ts';
import type { Planes } from './planes/planes.ts';
import { ClientRates, OF_NO_UPSTREAM } from './policy/client-rates.ts';
import { PasswordCheck } from './policy/password-check.ts';
import { makeCompiler } from './routing/compile.ts';
import type { StaticTerminator } from './tls/static-terminator.ts';

export type ServingSettings = Pick<
  Config,
  'engine' | 'trusted' | 'proxyProtocol' | 'accessLog' | 'limits' | 'timeouts' | 'workers'
> & {
  /** The port on which visitors reach TLS. */
  readonly httpsPort: number;
};

export interface Serving {
  readonly plane: Plane;
  readonly planes: Planes;
  listen(socket: Pick<ListenSocket, 'kind' | 'handle'>): Promise<AddressInfo>;
  /** Stops accepting connections, lets work in flight finish, and cuts what is still open after `shutdownMs`. */
  close(shutdownMs?: number): Promise<void>;
}

const STDOUT = 1;

/** @param terminator null: this process does not terminate TLS */
export function makeServing(
  settings: ServingSettings,
  { log, clock, terminator }: { log: Logger; clock: Clock; terminator: StaticTerminator | null },
): Serving {
  const { limits, timeouts, accessLog, workers } = settings;
  const observer = new EdgeObserver({ accessLog, accessLogFd: STDOUT }, clock);
  const rates = new ClientRates(workers > 1);
  const compile = makeCompiler(timeouts, {
    clock,
    hasCertificate: terminator && ((host) => terminator.covers(host)),
    isOpenChallenge: terminator && ((token) => terminator.httpChallenge(token) !== null),
    httpsPort: settings.httpsPort,
    rates,
    passwords: new PasswordCheck(clock, rates.of(OF_NO_UPSTREAM)),
  });
  const plane = new Plane(clock, observer, compile);
  observer.register(() => planeFamilies(plane.counts()));
  const failures = new FailureLog(log, clock);
  const tableUnreadable = (): boolean => plane.isTableLost;
  const edge = new Edge(
    { plane, observer, clock, failures, limits, timeouts, terminator, tableUnreadable },
    settings,
    terminator,
  );
  observer.register(edge.collect);
  return {
    plane,
    planes: localPlanes({ plane, rates, clock, snapshot: () => observer.snapshot(), terminator }),
    listen: ({ kind, handle }) => edge.listen(handle, kind),
    close: async (shutdownMs) => {
      await edge.close(shutdownMs);
      await observer.close();
    },
  };
}

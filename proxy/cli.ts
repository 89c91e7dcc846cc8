/** The command line: `orkestr-proxy serve`. */
import { flushCompileCache } from 'node:module';
import { Command } from 'commander';
import { toErrorReport } from '../protocol/errors.ts';
import { dialPatiently } from '../protocol/service/dialling.ts';
import { onShutdown } from '../protocol/service/shutdown.ts';
import { makeSupervisor } from '../protocol/service/systemd.ts';
import manifest from '../package.json' with { type: 'json' };
import { systemClock } from './clock.ts';
import { readConfig } from './config.ts';
import { tidyAtFirstRest } from '../protocol/service/tidy.ts';
import { meetPredecessor } from './hand-over/successor.ts';
import type { Listening } from './listen/sockets.ts';
import { openProcessLog } from './observe/process-log.ts';
import { startProxy } from './proxy.ts';
import { surviveUncaught } from './uncaught.ts';

/** How long work in flight may take to end after a hand-over, ms. WebSockets and event streams live on. */
const HAND_OVER_MS = 3_600_000;

const STDOUT = 1;

const HELP = `
Examples:
  $ orkestr-proxy serve
  $ ORKESTR_PROXY_LISTEN=0.0.0.0:80 ORKESTR_LOG_LEVEL=debug orkestr-proxy serve
  $ curl --unix-socket /run/orkestr/proxy.sock http://proxy/v1/table
  $ curl --unix-socket /run/orkestr/proxy.sock http://proxy/v1/hand-over -d '{}'

Environment:
  ORKESTR_PROXY_LISTEN        address and port (default 0.0.0.0:8080); not used with systemd socket activation
  ORKESTR_PROXY_LISTEN_TLS    address and port for https (default: none)
  ORKESTR_PROXY_ENGINE        fast, or http-proxy for all traffic (default fast)
  ORKESTR_PROXY_WORKERS       processes that serve (default 1)
  ORKESTR_PROXY_TRUSTED       addresses and networks whose X-Forwarded-* are believed (default none)
  ORKESTR_PROXY_PROTOCOL      accept: connections from those begin with a PROXY protocol header (default off)
  ORKESTR_PROXY_CONNECTIONS_PER_ADDRESS  of one client at once (default 2000), trusted addresses aside
  ORKESTR_PROXY_ACCESS_LOG    off, errors, all, or errors and a share of the rest (default 0.01)
  ORKESTR_PROXY_CERTIFICATES  folder of certificates and keys (default none)
  ORKESTR_PROXY_ACME          directory URLs of the CAs to ask, in turn (default none)
  ORKESTR_PROXY_ACME_EMAIL    contact of the ACME account
  ORKESTR_PROXY_ACME_CA       PEM file to trust for the CAs' own https
  ORKESTR_PROXY_PUBLIC        its public addresses, behind NAT without hairpin (default none)
  ORKESTR_PROXY_SOCKET        unix socket of the admin API (default /run/orkestr/proxy.sock)
  ORKESTR_PROXY_STATE         folder of the table file (default /var/lib/orkestr/proxy)
  ORKESTR_LOG_LEVEL           trace, debug, info, warn, error, fatal or silent (default info)

Signals:
  SIGTERM, SIGINT             take no more connections, finish what is in flight, end
  SIGUSR2                     start a successor that takes over without a refused connection, then the same`;

async function serve(): Promise<void> {
  const config = readConfig();
  const { log, close: closeLog } = openProcessLog(config.logLevel, systemClock, STDOUT);
  const supervisor = makeSupervisor(config.supervisor, log);
  const predecessor = config.isSuccessor ? await meetPredecessor(log) : null;
  const onHandedOver = (pid: number): void => {
    log.info({ successor: pid }, 'the successor serves; finishing what is in flight');
    const notified = supervisor.mainPid(pid);
    // While this process drains, its pings must not keep a hung successor alive.
    if (watchdog) clearInterval(watchdog);
    void proxy
      .close(HAND_OVER_MS)
      .then(
        () => 0,
        (error: unknown) => {
          log.error({ err: error }, 'failed while finishing');
          return 1;
        },
      )
      .then(async (code) => {
        // With nothing in flight we could exit before systemd learns the new main PID: the unit would seem dead.
        await notified;
        await closeLog();
        process.exit(code);
      });
  };
  const proxy = await startProxy(config, { log, clock: systemClock, predecessor, onHandedOver });
  const { timeouts } = config;
  const watchdog = supervisor.watchdogMs ? setInterval(() => supervisor.watchdog(), supervisor.watchdogMs) : null;
  onShutdown(log, timeouts.shutdownMs + 2 * timeouts.closeMs, async () => {
    supervisor.stopping();
    await proxy.close();
    if (watchdog) clearInterval(watchdog);
    await closeLog();
  });
  process.on('SIGUSR2', () => {
    proxy.handOver({}).catch((error: unknown) => log.error({ err: error }, 'could not hand over; serving on'));
  });
  surviveUncaught(log, () => proxy.handOver({}));
  // A killed process writes no cache, and the one after it must start fast.
  flushCompileCache();
  tidyAtFirstRest();
  const urls = proxy.addresses.map(urlOf);
  const upstreams = proxy.table.entries.length;
  const { pids } = proxy;
  log.info({ url: urls[0], urls, adminSocket: config.adminSocket, upstreams, pid: process.pid, pids }, 'listening');
  supervisor.ready(proxy.table.unreadable ? 'ORK_TABLE_UNREADABLE: routes are missing' : `serving ${upstreams} apps`);
}

/** A URL that can be called: a listener on all addresses is reached on loopback. */
function urlOf({ kind, address, family, port }: Listening): string {
  const host = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
  return `${kind}://${family === 'IPv6' && host === address ? `[${host}]` : host}:${port}`;
}

const program = new Command('orkestr-proxy')
  .description('The edge proxy of an orkestr host: routes visitors to the running apps.')
  .version(manifest.version)
  .addHelpText('after', HELP);
program.command('serve').description('Serve the saved table and the admin API until SIGTERM.').action(serve);

dialPatiently();
program.parseAsync().catch((error: unknown) => {
  const { code, message } = toErrorReport(error);
  process.stderr.write(`${code}: ${message}\n`);
  process.exitCode = 1;
});

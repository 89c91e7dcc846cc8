/** Which programs listen on the ports for visitors, 80 and 443. */
import { run } from '../../lib/exec.ts';
import type { Exec } from '../../lib/exec.ts';
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { givenAddresses, isBehind } from '../../host-facts/edge-sockets.ts';
import { listeningPorts, holdersOf, unixSocketInode } from '../sockets.ts';
import type { Holder } from '../sockets.ts';

interface Facts {
  readonly ports: readonly { readonly port: number; readonly holders: readonly Holder[] }[];
  /** Ports of the process behind the proxy's admin socket; null: there is none. */
  readonly proxy: { readonly pid: number; readonly ports: readonly number[] } | null;
  /** Ports that systemd holds for the proxy. Null: it holds none, has passed them to the proxy, or does not answer. */
  readonly kept: readonly number[] | null;
  /** The owner makes the proxy listen elsewhere, so others may hold these ports. */
  readonly isBeside: boolean;
  /** It listens only where this host can reach it. */
  readonly isBehind: boolean;
}

const SOCKETS = ['orkestr-proxy.socket', 'orkestr-proxy-tls.socket'] as const;
/** Listeners on behalf of containers. They belong to docker.service, which must not be stopped to free a port. */
const OF_CONTAINERS = ['docker-proxy', 'dockerd'];
const LOOK_MS = 1000;

const FREES = {
  program:
    'find its unit with `systemctl status {pid}` and stop it for good with `systemctl disable --now UNIT` (without a unit: `kill {pid}`)',
  container: 'find the container with `docker ps --filter publish={port}` and free the port with `docker stop NAME`',
  socket:
    'find the unit with `systemctl list-sockets` and free the port for good with `systemctl disable --now NAME.socket`',
};
const orBeside = (frees: string): string =>
  `This is fine if it forwards visitors to the proxy (docs/beside.md). Otherwise ${frees}.`;
const RESTART = 'then `systemctl restart orkestr-proxy`.';

export const ports = defineCheck({
  name: 'ports',
  about: 'The proxy, or systemd on its behalf, holds the ports for visitors (80 and 443).',
  problems: {
    held: {
      level: 'fail',
      says: 'Port {port} is held by {holder}, so the proxy cannot use it.',
      mend: `Stop the program: ${FREES.program}; ${RESTART}`,
    },
    'held-beside': {
      level: 'warn',
      says: 'Port {port} is held by {holder}; the proxy listens on {others}.',
      mend: orBeside(FREES.program),
    },
    'held-by-container': {
      level: 'fail',
      says: 'Port {port} is held by Docker Engine for a container ({holder}), so the proxy cannot use it.',
      mend: `Stop the container: ${FREES.container}; ${RESTART}`,
    },
    'held-by-container-beside': {
      level: 'warn',
      says: 'Port {port} is held by Docker Engine for a container ({holder}); the proxy listens on {others}.',
      mend: orBeside(FREES.container),
    },
    'held-by-socket': {
      level: 'fail',
      says: 'Port {port} is held by systemd for a socket unit that does not belong to the proxy, so the proxy cannot use it.',
      mend: `Stop the socket unit: ${FREES.socket}; ${RESTART}`,
    },
    'held-by-socket-beside': {
      level: 'warn',
      says: 'Port {port} is held by systemd for a socket unit that does not belong to the proxy; the proxy listens on {others}.',
      mend: orBeside(FREES.socket),
    },
    'nobody-before': {
      level: 'fail',
      says: 'Nothing listens on {port}: the web server that should forward visitors is not running.',
      mend: 'Start it (`systemctl start nginx`, or `caddy`). Or give the proxy the ports: run install.sh with `--http 80 --https 443 --email ADDRESS`; without an address, no certificates are requested.',
    },
    nobody: {
      level: 'fail',
      says: 'Nothing listens on {port}, and the proxy does not listen on another port: visitors are refused.',
      mend: 'Run `systemctl start orkestr-proxy.socket orkestr-proxy-tls.socket orkestr-proxy.service`.',
    },
  },
  async gather({ places, config, exec }): Promise<Facts> {
    const listening = listeningPorts(places.proc);
    const admin = unixSocketInode(places.proc, config.proxySocket);
    const inodes = new Set([...listening.map(({ inode }) => inode), ...(admin === null ? [] : [admin])]);
    const holders = holdersOf(places.proc, listening, inodes);
    const proxy = proxyAmong(holders, admin);
    const asked = places.ports.map((port) => ({
      port,
      holders: holders.filter(({ tcpPorts }) => tcpPorts.includes(port)),
    }));
    const isKept = asked.some(({ port, holders: by }) => by.some(isSystemd) && !proxy?.ports.includes(port));
    return {
      ports: asked,
      proxy,
      kept: isKept ? await keptPorts(exec) : null,
      isBeside: SOCKETS.some((socket) => givenAddresses(places.root, socket).length > 0),
      isBehind: isBehind(places.root, 'orkestr-proxy.socket'),
    };
  },
  judge(facts) {
    const { ports: looked, proxy } = facts;
    const held = looked.flatMap(({ port, holders }) =>
      holders.map((holder) => `${port} by ${holder.name} (process ${holder.pid})`),
    );
    const listens = proxy !== null && proxy.ports.length > 0 ? [`the proxy listens on ${proxy.ports.join(', ')}`] : [];
    return {
      summary: [...held, ...(held.length === 0 || facts.isBeside ? listens : [])].join(', ') || 'free',
      findings: looked.flatMap((one) => judgePort(one, facts)),
    };
  },
});

type Held = 'held' | 'held-by-container' | 'held-by-socket';
type PortFinding = Finding<Held | `${Held}-beside` | 'nobody-before' | 'nobody'>;

function judgePort({ port, holders }: Facts['ports'][number], facts: Facts): PortFinding[] {
  const [holder] = holders;
  if (holder === undefined) return judgeFree(port, facts);
  const elsewhere = facts.proxy?.ports ?? [];
  if (holders.some((one) => isOurs(one, port, facts)) || (facts.isBeside && elsewhere.length > 0)) return [];
  const values = { port, pid: holder.pid, holder: `${holder.name} (process ${holder.pid})` };
  const evidence = holders.map(({ pid, command }) => `process ${pid}: ${command}`);
  const held = heldBy(holder);
  return elsewhere.length > 0
    ? [{ problem: `${held}-beside`, values: { ...values, others: elsewhere.join(', ') }, evidence }]
    : [{ problem: held, values, evidence }];
}

function heldBy(holder: Holder): Held {
  if (isSystemd(holder)) return 'held-by-socket';
  return OF_CONTAINERS.includes(holder.name) ? 'held-by-container' : 'held';
}

/** Without certificates 443 is not needed, and behind an https-only web server 80 is not: one port in use is enough. */
function judgeFree(port: number, { ports: looked, proxy, isBehind: isPassedOn }: Facts): PortFinding[] {
  if (looked[0]?.port !== port || looked.some(({ holders }) => holders.length > 0)) return [];
  if (isPassedOn) return [{ problem: 'nobody-before', values: { port } }];
  return (proxy?.ports ?? []).length > 0 ? [] : [{ problem: 'nobody', values: { port } }];
}

/** The process behind the admin socket; ports of its workers count as its own. */
function proxyAmong(holders: readonly Holder[], admin: string | null): Facts['proxy'] {
  // Under socket activation systemd has the socket, too.
  const proxy = holders.find(({ pid, inodes }) => pid !== 1 && admin !== null && inodes.includes(admin));
  if (proxy === undefined) return null;
  const family = holders.filter(({ pid, parent }) => pid === proxy.pid || parent === proxy.pid);
  return { pid: proxy.pid, ports: [...new Set(family.flatMap(({ tcpPorts }) => tcpPorts))].sort((a, b) => a - b) };
}

/** The proxy, one of its workers, or systemd holding the sockets for it. */
function isOurs(holder: Holder, port: number, { proxy, kept }: Facts): boolean {
  if (holder.pid === proxy?.pid || holder.parent === proxy?.pid) return true;
  if (isSystemd(holder)) return kept === null || kept.includes(port);
  return /orkestr-proxy|\/proxy\/(?:dist\/|cli|main)/.test(holder.command);
}

const isSystemd = ({ pid }: Holder): boolean => pid === 1;

/** Ports of our socket units: only systemd knows which unit a socket of its belongs to. */
const keptPorts = (exec: Exec): Promise<readonly number[] | null> =>
  run('systemctl', ['show', '--property=ActiveState,Listen', '--', ...SOCKETS], { timeoutMs: LOOK_MS }, exec).then(
    ({ stdout }) =>
      stdout
        .split(/\n\n+/)
        .filter((unit) => /^ActiveState=active$/m.test(unit))
        .flatMap((unit) => [...unit.matchAll(/^Listen=.*:(\d+) \(Stream\)$/gm)].map(([, port]) => Number(port))),
    () => null, // the check units reports it if systemd does not answer
  );

/** Who listens where visitors come: ports 80 and 443. */
import { defineCheck } from '../check.ts';
import type { Finding } from '../check.ts';
import { givenAddresses } from '../edge-sockets.ts';
import { listeningPorts, holdersOf, unixSocketInode } from '../sockets.ts';
import type { Holder } from '../sockets.ts';

interface Facts {
  readonly ports: readonly { readonly port: number; readonly holders: readonly Holder[] }[];
  /** What the process behind the proxy's admin socket listens on; null: nobody is behind it. */
  readonly proxy: { readonly pid: number; readonly ports: readonly number[] } | null;
  /** The owner has it listen elsewhere: these ports are another's with good reason. */
  readonly isBeside: boolean;
}

const SOCKETS = ['orkestr-proxy.socket', 'orkestr-proxy-tls.socket'] as const;

export const ports = defineCheck({
  name: 'ports',
  about: 'The proxy, or systemd for it, has the ports on which visitors come (80 and 443).',
  problems: {
    held: {
      level: 'fail',
      says: 'Port {port} is held by {holder}, so the proxy cannot have it.',
      mend: '`systemctl status {pid}` names its unit, `systemctl disable --now UNIT` stops it for good (without a unit: `kill {pid}`); then `systemctl restart orkestr-proxy`.',
    },
    'held-beside': {
      level: 'warn',
      says: 'Port {port} is held by {holder}; the proxy listens on {others}.',
      mend: 'Right when that one passes visitors on to the proxy (docs/beside.md). Else `systemctl status {pid}` names its unit, `systemctl disable --now UNIT` stops it for good (without a unit: `kill {pid}`).',
    },
    nobody: {
      level: 'fail',
      says: 'Nobody listens on {port}, and no proxy listens elsewhere: visitors are refused.',
      mend: '`systemctl start orkestr-proxy.socket orkestr-proxy-tls.socket orkestr-proxy.service`.',
    },
  },
  async gather({ places, config }): Promise<Facts> {
    const listening = listeningPorts(places.proc);
    const admin = unixSocketInode(places.proc, config.proxySocket);
    const inodes = new Set([...listening.map(({ inode }) => inode), ...(admin === null ? [] : [admin])]);
    const holders = holdersOf(places.proc, listening, inodes);
    return {
      ports: places.ports.map((port) => ({ port, holders: holders.filter(({ tcpPorts }) => tcpPorts.includes(port)) })),
      proxy: proxyAmong(holders, admin),
      isBeside: SOCKETS.some((socket) => givenAddresses(places.root, socket).length > 0),
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

type PortFinding = Finding<'held' | 'held-beside' | 'nobody'>;

function judgePort({ port, holders }: Facts['ports'][number], facts: Facts): PortFinding[] {
  const { ports: looked, proxy, isBeside } = facts;
  const elsewhere = proxy?.ports ?? [];
  if (holders.length === 0) {
    // Without certificates nobody needs 443: one port that is served will do.
    const served = elsewhere.length > 0 || looked.some((other) => other.holders.length > 0);
    return served || looked[0]?.port !== port ? [] : [{ problem: 'nobody', values: { port } }];
  }
  if (holders.some((holder) => isOurs(holder, proxy))) return [];
  if (isBeside && elsewhere.length > 0) return [];
  const [holder] = holders;
  if (holder === undefined) return [];
  const values = { port, pid: holder.pid, holder: `${holder.name} (process ${holder.pid})` };
  const evidence = holders.map(({ pid, command }) => `process ${pid}: ${command}`);
  return elsewhere.length > 0
    ? [{ problem: 'held-beside', values: { ...values, others: elsewhere.join(', ') }, evidence }]
    : [{ problem: 'held', values, evidence }];
}

/** The process behind the admin socket; what its workers listen on is its own. */
function proxyAmong(holders: readonly Holder[], admin: string | null): Facts['proxy'] {
  // Under socket activation systemd has the socket, too.
  const proxy = holders.find(({ pid, inodes }) => pid !== 1 && admin !== null && inodes.includes(admin));
  if (proxy === undefined) return null;
  const family = holders.filter(({ pid, parent }) => pid === proxy.pid || parent === proxy.pid);
  return { pid: proxy.pid, ports: [...new Set(family.flatMap(({ tcpPorts }) => tcpPorts))].sort((a, b) => a - b) };
}

/** The proxy, a worker of its, or systemd that keeps the sockets for it. */
function isOurs(holder: Holder, proxy: Facts['proxy']): boolean {
  if (holder.pid === proxy?.pid || holder.parent === proxy?.pid) return true;
  return holder.pid === 1 || /orkestr-proxy|\/proxy\/(?:dist\/|cli|main)/.test(holder.command);
}

/** The proxy: whether it responds, and whether every route has a target. */
import { existsSync } from 'node:fs';
import { OrkestrError } from '../../../protocol/errors.ts';
import { HUB_UPSTREAM } from '../../../protocol/hub-upstream.ts';
import type { TableView } from '../../../protocol/proxy-admin.ts';
import { run } from '../../lib/exec.ts';
import { defineCheck, when } from '../check.ts';
import type { Subject } from '../subject.ts';

const LOOK_MS = 1000;

type Facts =
  | { readonly table: TableView; readonly unreadable: readonly string[] }
  | { readonly away: 'absent' | 'no-socket' | 'silent'; readonly socket: string; readonly why: string };

export const proxy = defineCheck({
  name: 'proxy',
  about: 'The proxy answers on its admin socket, and every route has a target that accepts requests.',
  problems: {
    absent: {
      level: 'fail',
      says: 'The proxy is not running (nothing listens on {socket}): visitors are not served.',
      mend: 'Run `systemctl start orkestr-proxy`. If it stops again, `journalctl -u orkestr-proxy -n 50 --no-pager` shows why.',
    },
    'no-socket': {
      level: 'fail',
      says: 'The proxy runs, but its admin socket {socket} is gone: visitors are still served, but no deployment can go live.',
      mend: 'Run `systemctl restart orkestr-proxy-admin.socket`: it creates the socket again and restarts the proxy; connections wait meanwhile.',
    },
    silent: {
      level: 'fail',
      says: 'The proxy runs but does not answer on {socket}.',
      mend: 'Run `systemctl restart orkestr-proxy`. Its table is on disk, so it serves the same routes at once.',
    },
    'table-unreadable': {
      level: 'fail',
      says: 'The proxy could not read its table when it started: routes are missing.',
      mend: 'Run `systemctl restart orkestr-agent`: it sets the routes again from its journal. Then check the disk: `dmesg | tail -50`.',
    },
    'no-target': {
      level: 'fail',
      says: 'No target of {route} accepts requests.',
      mend: 'The check drift of `orkestr-agent doctor` shows what is missing; `systemctl restart orkestr-agent` starts it again.',
    },
  },
  async gather(subject, signal): Promise<Facts> {
    const socket = subject.config.proxySocket;
    try {
      const [table, unreadable] = await Promise.all([subject.proxy.table(), unreadableTable(subject)]);
      return { table, unreadable };
    } catch (error) {
      if (!(error instanceof OrkestrError)) throw error;
      const why = error.message;
      if (!existsSync(socket)) return { away: (await isActive(subject, signal)) ? 'no-socket' : 'absent', socket, why };
      return { away: why.includes('ECONNREFUSED') ? 'absent' : 'silent', socket, why };
    }
  },
  judge(facts) {
    if ('away' in facts) {
      const { away, socket, why } = facts;
      return { summary: 'does not answer', findings: [{ problem: away, values: { socket }, evidence: [why] }] };
    }
    const { upstreams, startedAt } = facts.table;
    // The hub's own upstream belongs to another check.
    const empty = upstreams.filter((one) => one.id !== HUB_UPSTREAM && !takesRequests(one));
    return {
      summary: `${upstreams.length} ${upstreams.length === 1 ? 'upstream' : 'upstreams'}, up since ${startedAt}`,
      findings: [
        ...when(facts.unreadable.length > 0, { problem: 'table-unreadable', evidence: facts.unreadable }),
        ...empty.map(({ id, routes, targets }) => ({
          problem: 'no-target' as const,
          values: { route: routes.map(({ host, pathPrefix }) => host + pathPrefix).join(', ') || id },
          evidence: targets.map(
            ({ address, port, state, suspended }) =>
              `${address}:${port} ${state}${suspended ? ', suspended: it refused connections' : ''}`,
          ),
        })),
      ],
    };
  },
});

/**
 * Asks systemd, because a process without a socket cannot be asked. Starting a unit that is active would do nothing.
 */
async function isActive({ places, exec }: Subject, signal: AbortSignal): Promise<boolean> {
  if (!existsSync(places.systemd)) return false;
  const argv = ['show', '--property=ActiveState', '--value', '--', 'orkestr-proxy.service'];
  const { stdout } = await run('systemctl', argv, { timeoutMs: LOOK_MS, signal }, exec);
  return stdout.trim() === 'active';
}

/** Whether a request would be forwarded, now or when the hold ends. */
export const takesRequests = ({ targets, held }: TableView['upstreams'][number]): boolean =>
  held !== null || targets.some(({ state, suspended }) => state === 'healthy' && !suspended);

/** The proxy's complaint about its table file; empty: none. */
async function unreadableTable({ proxy: asked }: Subject): Promise<readonly string[]> {
  try {
    await asked.health();
    return [];
  } catch (error) {
    if (!(error instanceof OrkestrError) || error.code !== 'ORK_TABLE_UNREADABLE') throw error;
    return [error.message, ...error.evidence];
  }
}

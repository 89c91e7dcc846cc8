/** `orkestr-agent routes`: who serves what, from the proxy's own table. The agent only provides names. */
import { setTimeout as sleep } from 'node:timers/promises';
import { toErrorReport } from '../../protocol/errors.ts';
import { HUB_UPSTREAM } from '../../protocol/hub-upstream.ts';
import type { TableView } from '../../protocol/proxy-admin.ts';
import type { EdgeProxy } from '../deployment/ports.ts';
import { renderRoutes } from './view.ts';
import type { Look, Names } from './view.ts';

/** Pause between two looks, ms. */
const EVERY_MS = 1000;
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

export interface RoutesParts {
  readonly proxy: Pick<EdgeProxy, 'table'>;
  /** The agent's names; empty if no agent answers. */
  readonly names: () => Promise<Names>;
  readonly out: NodeJS.WritableStream & { isTTY?: boolean; columns?: number; rows?: number };
  readonly monotonic: () => number;
}

interface RoutesOptions {
  readonly json?: boolean;
  readonly once?: boolean;
  /** Ends the live view. */
  readonly signal: AbortSignal;
}

/**
 * Prints one snapshot, or on a terminal a view that refreshes.
 * @throws OrkestrError ORK_PROXY_UNREACHABLE from a snapshot; the live view waits for the proxy
 */
export async function showRoutes(parts: RoutesParts, { json, once, signal }: RoutesOptions): Promise<void> {
  const { proxy, out } = parts;
  if (json === true) {
    const [table, known] = await Promise.all([proxy.table(), namesFor(parts)]);
    out.write(`${JSON.stringify(withNames(table, known))}\n`);
  } else if (once === true || out.isTTY !== true) {
    const look = await lookAt(parts);
    out.write(`${renderRoutes(look, null, await namesFor(parts))}\n`);
  } else await live(parts, signal);
}

async function live(parts: RoutesParts, signal: AbortSignal): Promise<void> {
  let before: Look | null = null;
  let known: Names = new Map();
  while (!signal.aborted) {
    let screen: string;
    try {
      const look = await lookAt(parts);
      if (look.table.upstreams.some(({ id }) => !known.has(id))) known = await namesFor(parts);
      screen = renderRoutes(look, before, known);
      before = look;
    } catch (error) {
      // The proxy may be restarting, which the view should show, too.
      screen = toErrorReport(error).message;
    }
    parts.out.write(HOME_AND_CLEAR + fit(screen, parts.out));
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined); // only the signal ends it early
  }
  parts.out.write('\n');
}

/** Includes the hub's upstream, which is no environment. */
const namesFor = async ({ names }: RoutesParts): Promise<Names> =>
  new Map([[HUB_UPSTREAM, 'orkestr hub'], ...(await names())]);

async function lookAt({ proxy, monotonic }: RoutesParts): Promise<Look> {
  const table = await proxy.table();
  return { table, at: monotonic() };
}

/** Cuts the text to the terminal's size, so that nothing wraps or scrolls. */
function fit(text: string, { columns = 80, rows = 24 }: RoutesParts['out']): string {
  return text
    .split('\n')
    .slice(0, rows - 1)
    .map((line) => line.slice(0, columns))
    .join('\n');
}

/** For programs. The edge settings are left out: the hub shows them, and they contain password hashes. */
function withNames({ upstreams, ...table }: TableView, names: Names): object {
  return {
    ...table,
    upstreams: upstreams.map(({ edge: _edge, ...upstream }) => ({ ...upstream, name: names.get(upstream.id) ?? null })),
  };
}

/** Formats the proxy's table for people: one row per target, with the activity since the last look. Pure. */
import type { TableView, TargetView, UpstreamView } from '../../protocol/proxy-admin.ts';

/** A table, and when it was read, ms on a monotonic clock. */
export interface Look {
  readonly table: TableView;
  readonly at: number;
}

/** Environment id → `project/environment`. */
export type Names = ReadonlyMap<string, string>;

/**
 * Activity of a target since the last look. Null if unknown: at the first look, for a restarted proxy, or a new target.
 */
interface Pace {
  readonly perSecond: number;
  /** Broken requests and responses with a status of 500 or above. */
  readonly errors: number;
}

const HEADINGS = ['ROUTE', 'ENVIRONMENT', 'TARGET', 'STATE', 'IN FLIGHT', 'STREAMS', 'REQ/S', 'ERRORS'] as const;
/** Columns of numbers are right-aligned. */
const FIRST_NUMBER = 4;

/** The lines of a table, without a trailing newline. */
export function renderRoutes(look: Look, before: Look | null, names: Names): string {
  const { upstreams } = look.table;
  if (upstreams.length === 0) return 'No routes: nothing is deployed on this host.';
  const rows = upstreams.flatMap((upstream) => rowsOf(upstream, { look, before, names }));
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [HEADINGS, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          column < FIRST_NUMBER ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

interface Scene {
  readonly look: Look;
  readonly before: Look | null;
  readonly names: Names;
}

/** As many rows as the longest of routes, remarks and targets needs. */
function rowsOf(upstream: UpstreamView, { look, before, names }: Scene): string[][] {
  const hosts = upstream.routes.map(({ host, pathPrefix }) => host + (pathPrefix === '/' ? '' : pathPrefix));
  const routes = hosts.length === 0 ? ['(no domain)'] : hosts;
  const about = [names.get(upstream.id) ?? upstream.id, ...remarksOf(upstream, before)];
  const targets = upstream.targets.map((target) =>
    targetCells(upstream, target, paceOf(target, upstream, look, before)),
  );
  const none = Array.from({ length: HEADINGS.length - 2 }, () => '');
  return Array.from({ length: Math.max(routes.length, about.length, targets.length, 1) }, (_, index) => [
    routes[index] ?? '',
    about[index] ?? '',
    ...(targets[index] ?? none),
  ]);
}

/** Remarks about the upstream as a whole. */
function remarksOf(upstream: UpstreamView, before: Look | null): string[] {
  const { held, canary } = upstream;
  const failed = upstream.failed - (upstreamIn(before, upstream.id)?.failed ?? upstream.failed);
  return [
    ...(held === null ? [] : [`held: ${held} waiting`]),
    ...(canary === null
      ? []
      : [`canary: ${canary.weightPercent} %${canary.cookie === null ? '' : ` or ${canary.cookie}`}`]),
    ...(failed > 0 ? [`answered by the proxy: ${failed} failed`] : []),
  ];
}

function targetCells({ canary, routes }: UpstreamView, target: TargetView, pace: Pace | null): string[] {
  const { address, port, state, suspended, inFlight, streams } = target;
  const marks = [suspended && 'suspended', canary?.targetId === target.id && 'canary'].filter((mark) => mark !== false);
  return [
    // Without a route nothing connects to it, and the port may be any.
    routes.length === 0 ? address : `${address}:${port}`,
    [state, ...marks].join(', '),
    String(inFlight),
    String(streams),
    pace === null ? '-' : pace.perSecond.toFixed(1),
    pace === null ? '-' : String(pace.errors),
  ];
}

function paceOf(target: TargetView, { id }: UpstreamView, look: Look, before: Look | null): Pace | null {
  if (before === null || before.table.startedAt !== look.table.startedAt || look.at <= before.at) return null;
  const earlier = upstreamIn(before, id)?.targets.find(
    (one) => one.id === target.id && one.address === target.address && one.port === target.port,
  );
  if (earlier === undefined) return null;
  return {
    perSecond: ((endedOf(target) - endedOf(earlier)) * 1000) / (look.at - before.at),
    errors: errorsOf(target) - errorsOf(earlier),
  };
}

const upstreamIn = (look: Look | null, id: string): UpstreamView | undefined =>
  look?.table.upstreams.find((upstream) => upstream.id === id);

const endedOf = ({ requests, abandoned }: TargetView): number => requests.served + requests.failed + abandoned;
const errorsOf = ({ requests, errors }: TargetView): number => requests.failed + errors;

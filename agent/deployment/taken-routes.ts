/**
 * Names by which this host serves another environment. The hub gives each name to one environment only, but the one
 * that gives it up may be late.
 */
import type { Domain } from '../../protocol/edge.ts';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { TableView, UpstreamView } from '../../protocol/proxy-admin.ts';
import type { StepContext } from './step.ts';

/** How long a name may take to become free: the order that gives it up, or its environment's removal, is on its way. */
const PATIENCE_MS = 15_000;
const LOOK_MS = 1000;

export const isSameRoute = (one: Domain, other: Domain): boolean =>
  one.host === other.host && one.pathPrefix === other.pathPrefix;

/** Other upstreams that have any of the routes. */
export const holdersOf = (
  { upstreams }: Pick<TableView, 'upstreams'>,
  environmentId: string,
  routes: readonly Domain[],
): readonly UpstreamView[] =>
  upstreams.filter(
    (one) => one.id !== environmentId && one.routes.some((held) => routes.some((route) => isSameRoute(held, route))),
  );

/**
 * Checks before anything is built, because the proxy would refuse the flip. Passes if the proxy does not answer; the
 * flip decides then.
 * @throws OrkestrError ORK_ROUTE_TAKEN
 */
export async function mustBeFree({ job, ports, log, signal, edge }: StepContext): Promise<void> {
  // Another host serves what this one builds.
  if (job.kind === 'build') return;
  const until = ports.clock.monotonic() + PATIENCE_MS;
  for (let told = false; ; told = true) {
    let table: TableView;
    try {
      table = await ports.proxy.table();
    } catch (error) {
      log.line(`whether its domains are free is not known: ${toErrorReport(error).message}`);
      return;
    }
    const { routes } = edge();
    const [holder] = holdersOf(table, job.environment.id, routes);
    const held = holder?.routes.find((one) => routes.some((route) => isSameRoute(one, route)));
    if (holder === undefined || held === undefined) return;
    const name = `${held.host}${held.pathPrefix}`;
    if (ports.clock.monotonic() >= until) {
      throw new OrkestrError(
        'ORK_ROUTE_TAKEN',
        `This host serves another environment at ${name}, which still holds it; nothing was built. If the hub has no such environment any more, remove it on this host: orkestr-agent remove ${holder.id}`,
        { evidence: [`environment ${holder.id}`] },
      );
    }
    if (!told) log.line(`${name} is still another environment's here (${holder.id}); waiting for it to be given up`);
    await ports.clock.sleep(LOOK_MS, signal);
  }
}

/** After a change of settings, reports what is active already and what waits for a deployment. */
import { Environment } from '../api/schemas.ts';
import { buildSettings } from '../../protocol/build-settings.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { settingsThatWait } from '../../protocol/edge-order.ts';
import type { Context } from './context.ts';
import type { Output } from './output.ts';
import { edgeStateText } from './text/edge-state.ts';

/** A healthy host answers within moments. */
const WAIT_MS = 10_000;
const LOOK_MS = 200;

/**
 * The environment once its host has answered, or its last known state after a timeout. The change is stored already, so
 * an unreachable hub or a token without read access does not make it fail.
 */
export async function untilAnswered(context: Context, path: string, changed: Environment): Promise<Environment> {
  const until = context.now() + WAIT_MS;
  let environment = changed;
  while (environment.edge.state === 'sent' && context.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    try {
      environment = await context.hub().get(path, Environment);
    } catch (error) {
      if (!(error instanceof OrkestrError)) throw error;
      if (!error.kind.retry) break;
    }
  }
  return environment;
}

/**
 * Settings that affect the build or the destination of its image: redeploying an existing image does not apply them.
 */
const OF_A_BUILD: ReadonlySet<string> = new Set([
  'branch',
  'rootDirectory',
  ...Object.keys(buildSettings),
  'build',
  'buildHosts',
  'buildHost',
  'registry',
]);

/** @param change the given settings, and the branch if it was given */
export function showWhatIsActive(
  output: Output,
  environment: Environment,
  change: Readonly<Record<string, unknown>>,
): void {
  const waiting = settingsThatWait(change);
  const touchesEdge = 'domains' in change || 'edge' in change;
  const onlyProtocol = waiting.includes('edge.appProtocol') && isOnlyProtocol(change['edge']);
  if ('domains' in change || (touchesEdge && !onlyProtocol)) {
    output.line(`\nDomains and edge settings: ${edgeStateText(environment)}`);
  }
  const built = waiting.filter((name) => OF_A_BUILD.has(name));
  if (built.length > 0) output.line(`\n${built.join(', ')}: active with the next build: orkestr deploy`);
  const started = waiting.filter((name) => !OF_A_BUILD.has(name));
  if (started.length > 0) {
    output.line(
      `\n${started.join(', ')}: active at the next deployment, orkestr deploy, or without a build: orkestr deploy --again`,
    );
  }
}

const isOnlyProtocol = (edge: unknown): boolean =>
  typeof edge === 'object' && edge !== null && Object.keys(edge).length === 1;

/** Shows an upgrade of hosts, or follows it: a line per change, until it is over or needs a person's attention. */
import { setTimeout } from 'node:timers/promises';
import { OrkestrError } from '../../protocol/errors.ts';
import { Upgrade } from '../api/schemas.ts';
import { apiPath } from '../api/paths.ts';
import type { Context } from './context.ts';
import { EXIT } from './exit.ts';
import { type Output, statusStyle } from './output.ts';
import { askPatiently } from './patience.ts';

/** Polling interval, ms: an upgrade takes minutes. */
const LOOK_MS = 1000;

export function showUpgrade(output: Output, upgrade: Upgrade): void {
  output.object(upgrade);
  output.line(
    `Upgrade to ${upgrade.version}: ${output.style(statusStyle(upgrade.state), upgrade.state)} · ${upgrade.id}`,
  );
  output.line();
  output.table(
    ['HOST', 'STATE'],
    upgrade.hosts.map(({ name, state }) => [name, state]),
    (cell, column) => (column === 1 ? output.style(statusStyle(cell), cell) : cell),
  );
  for (const { name, error } of upgrade.hosts) {
    if (error !== null) output.line(`\n${name}: ${error.message}\n${output.mendOf(error.code)} (${error.code})`);
  }
  if (upgrade.state === 'paused') showWaysOn(output);
}

/**
 * Follows an upgrade; its result determines the exit code. Ctrl-C detaches. With --json each change prints the whole
 * upgrade on one line.
 */
export async function followUpgrade(context: Context, output: Output, begun: Upgrade): Promise<number> {
  const detach = new AbortController();
  const forget = context.onInterrupt(() => detach.abort());
  let shown: Upgrade | undefined;
  let upgrade = begun;
  try {
    for (;;) {
      showChanges(output, shown, upgrade);
      shown = upgrade;
      if (isAtRest(upgrade)) return fateOf(output, upgrade);
      await setTimeout(LOOK_MS, undefined, { signal: detach.signal });
      upgrade = await askPatiently(() => context.hub().get(apiPath('upgrades', begun.id), Upgrade), {
        signal: detach.signal,
        onAway: ({ message }) => output.note(`${message} Trying again …`),
      });
    }
  } catch (error) {
    if (!detach.signal.aborted) throw goesOn(error, begun);
    output.note(`Detached; the upgrade continues.\n  follow  ${followAgain(begun)}`);
    return EXIT.interrupted;
  } finally {
    forget();
  }
}

/** Adds that the upgrade continues although the hub does not answer. */
function goesOn(error: unknown, upgrade: Upgrade): unknown {
  if (!(error instanceof OrkestrError)) return error;
  const evidence = [...error.evidence, `The upgrade continues. Follow it again: ${followAgain(upgrade)}`];
  return new OrkestrError(error.code, error.message, { evidence, cause: error });
}

const followAgain = ({ id }: Upgrade): string => `orkestr upgrades show ${id} --follow`;

const isMoving = (state: string): boolean => ['ordered', 'fetching', 'trial', 'switching'].includes(state);

/** Nothing more happens without a person: the upgrade is not running, and no host is under way. */
const isAtRest = ({ state, hosts }: Upgrade): boolean =>
  state !== 'running' && !hosts.some((host) => isMoving(host.state));

function showChanges(output: Output, before: Upgrade | undefined, now: Upgrade): void {
  const lines = now.hosts.flatMap(({ name, state, error }, index) => {
    if (before?.hosts[index]?.state === state) return [];
    const reason = error === null ? '' : `  ${error.message} (${error.code})`;
    return [`${name}  ${output.style(statusStyle(state), state)}${reason}`];
  });
  if (lines.length === 0 && before?.state === now.state) return;
  output.object(now);
  if (before === undefined) output.line(`Upgrade to ${now.version} · ${now.id}`);
  for (const line of lines) output.line(line);
}

function fateOf(output: Output, { state, version }: Upgrade): number {
  output.line();
  if (state === 'done') {
    output.line(`${output.style(['bold', 'green'], 'Done')}: every host runs ${version}, except skipped ones.`);
    return EXIT.ok;
  }
  if (state === 'cancelled') {
    output.line('Cancelled. Hosts that had not started stay as they are.');
    return EXIT.stopped;
  }
  output.line(`${output.style(['bold', 'red'], 'Paused')}: a host failed to upgrade. No further host will be started.`);
  showWaysOn(output);
  return EXIT.failed;
}

function showWaysOn(output: Output): void {
  output.line('  retry   orkestr upgrades resume');
  output.line('  skip    orkestr upgrades skip HOST, then resume');
  output.line('  cancel  orkestr upgrades cancel');
}

/**
 * `orkestr-agent upgrade`: orders an upgrade, or carries out the ordered one (run by its unit), and shows the progress.
 */
import { randomUUIDv7 } from 'node:crypto';
import { resolve } from 'node:path';
import { OrkestrError, toProblem } from '../../protocol/errors.ts';
import { ReleaseVersion } from '../../protocol/release.ts';
import { carryOut } from './carry-out.ts';
import { followUpgrade } from './follow.ts';
import type { UpgradeParts } from './health.ts';
import { hasHub } from './layout.ts';
import { planUpgrade, startUpgrade } from './order.ts';
import type { UpgradePlan } from './order.ts';
import type { ReleaseSource, Upgrade } from './record.ts';

export interface UpgradeFlags {
  readonly version?: string;
  readonly from?: string;
  readonly allowDowngrade?: true;
  readonly dryRun?: true;
  readonly follow?: true;
  readonly json?: true;
  readonly carryOut?: true;
}

interface Out {
  /** The result, and nothing else. */
  result(text: string): void;
  progress(text: string): void;
}

/**
 * @returns the exit code: 0 if the requested version runs
 * @throws OrkestrError why it cannot be ordered
 */
export async function upgradeHost(parts: UpgradeParts, flags: UpgradeFlags, out: Out): Promise<number> {
  if (flags.carryOut) {
    await carryOut(parts, ({ state, doing }) => out.progress(`${state}: ${doing}`));
    return 0;
  }
  if (process.geteuid?.() !== 0) throw new OrkestrError('ORK_FORBIDDEN', 'Only root may upgrade this host.');
  if (flags.follow) return end(await followUpgrade(parts, progressPrinter(flags, out)), flags, out);
  const plan = await planUpgrade(parts, {
    version: flags.version === undefined ? null : versionOf(flags.version),
    folder: flags.from === undefined ? null : resolve(flags.from),
    allowDowngrade: flags.allowDowngrade === true,
  });
  if (plan.version === plan.from || flags.dryRun) {
    out.result(flags.json ? JSON.stringify({ ...plan, dryRun: flags.dryRun === true }) : describe(parts, plan));
    return 0;
  }
  const { upgradeId } = await startUpgrade(parts, plan, randomUUIDv7());
  const ended = await followUpgrade(parts, progressPrinter(flags, out));
  if (ended.upgradeId !== upgradeId) {
    throw new OrkestrError('ORK_UPGRADE_INTERRUPTED', `Another upgrade, to ${ended.version}, was requested meanwhile.`);
  }
  return end(ended, flags, out);
}

function versionOf(text: string): string {
  const version = ReleaseVersion.safeParse(text);
  if (version.success) return version.data;
  throw new OrkestrError('ORK_INVALID', `--version: "${text}" is not a version of a release.`);
}

const progressPrinter =
  ({ json }: UpgradeFlags, out: Out) =>
  (upgrade: Upgrade): void =>
    out.progress(json ? JSON.stringify({ state: upgrade.state, doing: upgrade.doing }) : upgrade.doing);

function end(upgrade: Upgrade, { json }: UpgradeFlags, out: Out): number {
  const { from, version, state, error } = upgrade;
  if (json) out.result(JSON.stringify(upgrade));
  else if (error === null) out.result(`orkestr ${version} runs; ${from} is kept.`);
  else {
    const { title, detail, mend, evidence } = toProblem(error);
    out.result([`${state}: ${title}: ${detail}`, ...evidence.map((line) => `  | ${line}`), mend].join('\n'));
  }
  return state === 'healthy' ? 0 : 1;
}

function describe({ layout }: UpgradeParts, { from, version, source }: UpgradePlan): string {
  if (version === from) return `orkestr ${version} already runs here; nothing to do.`;
  const what = hasHub(layout) ? 'the hub, the agent and the proxy' : 'the agent and the proxy';
  return [
    `orkestr ${from} would become ${version}, ${placeOf(source)}:`,
    `  - the release is verified, unpacked, and tried on this host`,
    `  - ${what} are switched to it; apps keep serving`,
    `  - ${from} is kept, and is restored automatically if ${version} does not become healthy`,
    'Nothing was changed.',
  ].join('\n');
}

function placeOf(source: ReleaseSource): string {
  if (source.kind === 'none') return 'which is on this host already';
  return `from ${source.kind === 'folder' ? source.path : source.url}`;
}

/** What installer/install.sh created on the host: units, users, files, a setting of Docker Engine. Any may be gone. */
import { existsSync, readdirSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../lib/engine.ts';
import { run } from '../lib/exec.ts';
import type { Exec } from '../lib/exec.ts';
import { ENGINE_SETTINGS } from '../lib/name-servers.ts';
import { layoutAt } from '../upgrade/layout.ts';
import { isEnded, lastUpgrade } from '../upgrade/record.ts';
import { AGENT_UNIT, UPGRADE_UNIT } from '../upgrade/services.ts';
import { removeBaseImages } from './base-images.ts';
import type { Cleanup } from './cleanup.ts';
import { removeDropIns } from './drop-ins.ts';
import { removeFolder } from './folder.ts';
import { inEngine } from './in-engine.ts';
import { takeBackLiveRestore } from './live-restore.ts';
import { removeTimerStamps } from './timer-stamps.ts';

const RELEASES = '/opt/orkestr';
const SETTINGS = '/etc/orkestr';
const STATE = '/var/lib/orkestr';
const RUN = '/run/orkestr';
const UNITS = '/etc/systemd/system';
const PROGRAMS = '/usr/local/bin';
const ENGINE_FILES = { settings: ENGINE_SETTINGS, were: join(SETTINGS, 'engine-settings-were') } as const;
const USERS = ['orkestr-proxy', 'orkestr-hub'] as const;

/** systemd stops a unit within its TimeoutStopSec, for ours at most 30 s, one after the other. */
const TIMEOUT_MS = 120_000;

/** Before everything else: a running agent would recreate what is removed, and an upgrade would restart the agent. */
export const stopAgent: Cleanup = {
  what: 'agent',
  async run() {
    if (!existsSync(join(UNITS, AGENT_UNIT))) return 'has no unit';
    if (existsSync(join(UNITS, UPGRADE_UNIT))) await systemctl('stop', UPGRADE_UNIT);
    await systemctl('disable', '--now', AGENT_UNIT);
    return 'stopped';
  },
};

/** In this order: what runs, its users, its programs. */
export const installationThings = (engine: Engine, keepData: boolean): readonly Cleanup[] => [
  ...(keepData ? [] : [{ what: 'base images', run: () => inEngine(() => removeBaseImages(engine)) }]),
  { what: 'units', run: () => removeUnits(keepData) },
  { what: 'engine settings', run: () => takeBackLiveRestore(engine, ENGINE_FILES) },
  ...(keepData ? [] : [{ what: 'users', run: removeUsers }]),
  { what: 'programs', isNeededToGoOn: true, run: () => Promise.resolve(removePrograms()) },
];

/**
 * Removes the state of hub and proxy, settings and sockets. Call it last: without them nothing shows what was
 * installed.
 * @returns what stays
 */
export function removeFolders(keepData: boolean): readonly string[] {
  const { record } = layoutAt();
  const last = lastUpgrade(record);
  // Nothing is left that could resume the upgrade.
  if (last !== null && !isEnded(last)) rmSync(record);
  return [RUN, ...(keepData ? [] : [STATE, SETTINGS])].flatMap(removeFolder);
}

const systemctl = (...args: readonly string[]): ReturnType<Exec> => run('systemctl', args, { timeoutMs: TIMEOUT_MS });

/** `keepData`: the addresses of the proxy are a setting, and stay for the next installation. */
async function removeUnits(keepData: boolean): ReturnType<Cleanup['run']> {
  const units = readdirSync(UNITS).filter((name) => /^orkestr-[a-z-]+\.(?:service|socket|slice|timer)$/.test(name));
  if (units.length === 0) return 'none left';
  // Sockets first: they would start the proxy again.
  const order = units.toSorted((a, b) => Number(b.endsWith('.socket')) - Number(a.endsWith('.socket')));
  await systemctl('disable', '--now', ...order);
  const yours = keepData ? [] : removeDropIns(UNITS);
  removeTimerStamps(units);
  for (const unit of units) unlinkSync(join(UNITS, unit));
  await systemctl('daemon-reload');
  // Clears remembered failures of the removed units.
  await systemctl('reset-failed', 'orkestr-*').catch(() => undefined); // none had failed
  const told = `${units.length} stopped and removed`;
  return yours.length === 0 ? told : { warning: `${told}; drop-ins of yours stay: ${yours.join(', ')}` };
}

function removePrograms(): string {
  for (const name of ['orkestr', 'orkestr-agent', 'orkestr-hub', 'orkestr-proxy']) {
    rmSync(join(PROGRAMS, name), { force: true });
  }
  return [`${RELEASES} removed`, ...removeFolder(RELEASES)].join('; ');
}

async function removeUsers(): Promise<string> {
  const users = readFileSync('/etc/passwd', 'utf8');
  const there = USERS.filter((name) => users.includes(`\n${name}:`));
  for (const name of there) await run('userdel', ['--', name], { timeoutMs: TIMEOUT_MS });
  return there.length === 0 ? 'none left' : `${there.join(', ')} removed`;
}

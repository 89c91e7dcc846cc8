/** Which releases stay on the host: the current one, the previous one, and any that a process still runs from. */
import { readdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { linkedVersion } from './layout.ts';
import type { Layout } from './layout.ts';
import { executableOf } from './services.ts';

/** Removes all other releases. A proxy that has handed over drains for up to an hour, from its own release. */
export function pruneReleases(layout: Layout): readonly string[] {
  const kept = new Set([linkedVersion(layout.current), linkedVersion(layout.previous), ...versionsInUse(layout)]);
  const gone = readdirSync(layout.releases).filter((version) => !kept.has(version));
  for (const version of gone) rmSync(join(layout.releases, version), { recursive: true, force: true });
  return gone;
}

/** The version that a process runs; null if it runs no release of ours. */
export function versionOfProcess(layout: Layout, pid: number): string | null {
  const executable = executableOf(pid);
  const prefix = `${realpathSync(layout.releases)}/`;
  return executable?.startsWith(prefix) ? (executable.slice(prefix.length).split('/')[0] ?? null) : null;
}

const versionsInUse = (layout: Layout): readonly (string | null)[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => versionOfProcess(layout, Number(pid)));

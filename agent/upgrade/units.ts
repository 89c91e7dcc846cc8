/**
 * The unit files of a release in systemd's folder. Changes of the proxy's unit apply from its next start: a successor
 * started by hand-over keeps the old ones.
 */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/files.ts';
import { hasHub, releaseFolder } from './layout.ts';
import type { Layout } from './layout.ts';
import { HUB_UNITS } from './services.ts';

const UNIT_MODE = 0o644;

/**
 * Installs the units of release `to` and removes those that only `from` had.
 * @returns whether anything changed: systemd must then reload them
 */
export function installUnits(layout: Layout, to: string, from: string): boolean {
  const wanted = unitsOf(layout, to);
  let changed = false;
  for (const [name, text] of wanted) {
    const path = join(layout.units, name);
    if (existsSync(path) && readFileSync(path, 'utf8') === text) continue;
    writeFileAtomic(path, text, UNIT_MODE);
    chmodSync(path, UNIT_MODE); // whatever the umask
    changed = true;
  }
  for (const name of namesOf(layout, from)) {
    const path = join(layout.units, name);
    if (wanted.has(name) || !existsSync(path)) continue;
    rmSync(path);
    changed = true;
  }
  return changed;
}

/** The unit files of a release that apply to this host: name → text. */
function unitsOf(layout: Layout, version: string): ReadonlyMap<string, string> {
  const names = namesOf(layout, version).filter((name) => !HUB_UNITS.includes(name) || hasHub(layout));
  return new Map(names.map((name) => [name, readFileSync(join(folderOf(layout, version), name), 'utf8')]));
}

const folderOf = (layout: Layout, version: string): string => join(releaseFolder(layout, version), 'units');
const namesOf = (layout: Layout, version: string): readonly string[] => readdirSync(folderOf(layout, version));

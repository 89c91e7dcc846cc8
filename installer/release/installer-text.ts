/** install.sh of a release: one file with all its parts and the facts about that release. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Assignments at the top of installer/install.sh, which are empty there. */
export interface InstallerFacts {
  readonly RELEASE_VERSION: string;
  readonly RELEASE_KEY: string;
  /** Where the release is published; empty if only hubs and folders have it. */
  readonly RELEASE_URL: string;
  /**
   * SHA-256 of the list of checksums, hex; empty in the copy inside an archive, because that list covers the archive.
   */
  readonly RELEASE_SUMS_SHA256: string;
}

const PARTS = /^# @parts\n[^]*?\bfor part in ([a-z ]+);[^]*?^# @end\n/m;

/** @throws Error if the script does not have the form that this file expects */
export function installerText(root: string, facts: InstallerFacts): string {
  const script = readFileSync(join(root, 'installer/install.sh'), 'utf8');
  const names = PARTS.exec(script)?.[1];
  if (names === undefined) throw new Error('install.sh does not say where its parts go.');
  const parts = names.split(' ').map((name) => readFileSync(join(root, `installer/install/${name}.sh`), 'utf8'));
  let text = script.replace(PARTS, () => parts.join('\n'));
  for (const [name, value] of Object.entries(facts) as [string, string][]) {
    const empty = `\n${name}=''\n`;
    if (!text.includes(empty)) throw new Error(`install.sh has no line ${name}=''.`);
    if (!/^[\w.:/+=-]*$/.test(value)) throw new Error(`${name} does not fit between single quotes: ${value}`);
    text = text.replace(empty, () => `\n${name}='${value}'\n`);
  }
  return text;
}

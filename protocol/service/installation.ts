/** What a program knows of the installation that it belongs to (installer/install.sh). */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../errors.ts';
import { parseEnvironmentFile } from './environment-file.ts';

const PROGRAMS = '/opt/orkestr/releases';
const SETTINGS_FOLDER = '/etc/orkestr';
/** What else stands in the file is for the service as a process, and comes too late for one that runs already. */
const OURS = /^ORKESTR_/;

/**
 * Whether a program is the one of an installation: sources and a release that was unpacked elsewhere are not. `execPath` has no
 * links in it, and the folder of releases may be behind one: /opt is a link on some distributions.
 */
export function isInstalled(execPath: string, programs = PROGRAMS): boolean {
  return execPath.startsWith(`${existsSync(programs) ? realpathSync(programs) : programs}/`);
}

interface SettingsPlace {
  readonly execPath?: string;
  readonly folder?: string;
  readonly programs?: string;
}

/**
 * The environment of a program with the settings of its service on this host, which the service's unit reads from the same
 * file: typed by hand a program means the same things. What is in the environment itself counts, also when it is empty.
 * @throws OrkestrError ORK_CONFIG when the file is there and cannot be read
 */
export function withHostSettings(
  service: 'agent' | 'hub',
  env: NodeJS.ProcessEnv,
  { execPath = process.execPath, folder = SETTINGS_FOLDER, programs = PROGRAMS }: SettingsPlace = {},
): NodeJS.ProcessEnv {
  if (!isInstalled(execPath, programs)) return env;
  const settings = [...readSettings(join(folder, `${service}.env`))].filter(([name]) => OURS.test(name));
  return { ...Object.fromEntries(settings), ...env };
}

function readSettings(file: string): ReadonlyMap<string, string> {
  try {
    return parseEnvironmentFile(readFileSync(file, 'utf8'));
  } catch (cause) {
    // It is root's: whoever may not read it may not reach what it names either. And not every host has one.
    if (['ENOENT', 'EACCES'].includes((cause as NodeJS.ErrnoException).code ?? '')) return new Map();
    throw new OrkestrError('ORK_CONFIG', `${file} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

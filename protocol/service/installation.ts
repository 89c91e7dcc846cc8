/** What a program knows about the installation that it belongs to (installer/install.sh). */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { OrkestrError } from '../errors.ts';
import { parseEnvironmentFile } from './environment-file.ts';

const PROGRAMS = '/opt/orkestr/releases';
const SETTINGS_FOLDER = '/etc/orkestr';
/** The file's other variables are for the service's process and come too late for a program that already runs. */
const OURS = /^ORKESTR_/;

/**
 * Whether a program belongs to an installation, unlike sources and a release unpacked elsewhere. `execPath` contains no
 * links, but the folder of releases may be behind one: /opt is a link on some distributions.
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
 * The environment of a program, plus the settings of its service on this host from the file that the service's unit
 * reads: a program started by hand then behaves the same. The environment itself wins, even with an empty value.
 * @throws OrkestrError ORK_CONFIG when the file exists and cannot be read
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
    // The file is root's: who may not read it may not access what it names either. And not every host has one.
    if (['ENOENT', 'EACCES'].includes((cause as NodeJS.ErrnoException).code ?? '')) return new Map();
    throw new OrkestrError('ORK_CONFIG', `${file} cannot be read: ${(cause as Error).message}.`, { cause });
  }
}

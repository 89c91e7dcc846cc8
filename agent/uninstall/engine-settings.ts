/** Docker Engine's settings file. It belongs to the host's owner, and an engine does not start with half of it. */
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { writeFileAtomic } from '../lib/files.ts';

type EngineSettings = Readonly<Record<string, unknown>>;

/** Empty if there is no such file. @throws OrkestrError ORK_CONFIG if it is not readable JSON */
export function readEngineSettings(path: string): EngineSettings {
  if (!existsSync(path)) return {};
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as EngineSettings;
  } catch (cause) {
    throw new OrkestrError('ORK_CONFIG', `${path} is not readable JSON. Correct it, then uninstall again.`, { cause });
  }
}

/**
 * Rewrites an existing file atomically: on a full disk the old one stays. Keeps mode and owner, and follows a link.
 * @throws Error of the file system
 */
export function writeEngineSettings(path: string, settings: EngineSettings): void {
  const file = realpathSync(path);
  const { mode, uid, gid } = statSync(file);
  try {
    writeFileAtomic(file, `${JSON.stringify(settings, null, 2)}\n`, mode & 0o777);
    chmodSync(file, mode & 0o777); // whatever the umask
    chownSync(file, uid, gid);
  } catch (error) {
    rmSync(`${file}.new`, { force: true });
    throw error;
  }
}

/**
 * Removes what the installation created, unless somebody has added something since.
 * @param were as recorded by installer/install/engine.sh: there, absent or no-folder
 * @param settings without those of the installation
 * @throws Error of the file system
 */
export function takeBackEngineSettings(path: string, were: string, settings: EngineSettings): void {
  if (were === 'there' || Object.keys(settings).length > 0) {
    writeEngineSettings(path, settings);
    return;
  }
  unlinkSync(path);
  const folder = dirname(path);
  if (were === 'no-folder' && readdirSync(folder).length === 0) rmdirSync(folder);
}

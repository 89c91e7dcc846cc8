/** Removals from a Docker Engine that may itself have been uninstalled before orkestr. */
import { existsSync } from 'node:fs';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Cleanup } from './cleanup.ts';

/** Where distributions, Docker's own packages and static binaries put it; the last one is the snap. */
const ENGINES = [
  ...['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/local/sbin', '/opt/bin'].map((folder) => `${folder}/dockerd`),
  '/snap/docker',
];

const isEngineInstalled = (): boolean => ENGINES.some((path) => existsSync(path));

/**
 * An engine that is no longer installed has nothing that could be removed. One that is only stopped still has it, and
 * starts it at the next boot.
 * @throws OrkestrError ORK_ENGINE_UNREACHABLE with the repair
 */
export async function inEngine(work: Cleanup['run'], isInstalled = isEngineInstalled): ReturnType<Cleanup['run']> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof OrkestrError) || cause.code !== 'ORK_ENGINE_UNREACHABLE') throw cause;
    if (!isInstalled()) {
      return {
        warning: 'Docker Engine is no longer installed; anything it has left behind is in its data folder',
      };
    }
    const mend = 'Start it (systemctl start docker), then uninstall again.';
    throw new OrkestrError(cause.code, `Docker Engine is not running, and this is still stored in it. ${mend}`, {
      cause,
    });
  }
}

/** Files that hold a secret and survive a power cut: readable by their owner only, written as a whole or not at all. */
import { chmod, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { OrkestrError } from '../protocol/errors.ts';
import { isDiskFull } from '../protocol/service/disk-full.ts';

/** Makes a folder (and its parents) that only its owner may enter; an existing folder loses the rights of others. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
  await chmod(path, 0o700);
}

/**
 * Resolves once the file is on disk. If it rejects, the file keeps its previous content.
 *
 * @throws OrkestrError ORK_DISK_FULL, or the system's error
 */
export async function writePrivateFile(path: string, content: string | Buffer): Promise<void> {
  try {
    await replace(path, content);
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    throw new OrkestrError('ORK_DISK_FULL', `There is no room to write ${path}.`, { cause: error });
  }
}

async function replace(path: string, content: string | Buffer): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  // rename(2) is durable only once the folder is synced.
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

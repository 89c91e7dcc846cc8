/** Folders of deployments, named by deployment id. Implements the port Workspaces. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Uuid } from '../../protocol/ids.ts';

export function makeWorkspaces(folder: string) {
  const folderOf = (deploymentId: string): string => join(folder, Uuid.parse(deploymentId));
  return {
    checkoutDirectory: (deploymentId: string): string => join(folderOf(deploymentId), 'checkout'),
    async remove(deploymentId: string): Promise<void> {
      await rm(folderOf(deploymentId), { recursive: true, force: true });
    },
    /** Deployments that have a folder. */
    async list(): Promise<readonly string[]> {
      try {
        return (await readdir(folder)).filter((name) => Uuid.safeParse(name).success);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    },
  };
}

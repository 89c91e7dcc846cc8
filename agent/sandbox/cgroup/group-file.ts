/** Files of control groups that not every kernel has. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

/** Kernels without swap accounting, a scheduler of the disk or `cpu.idle` do not have the file. Answers whether it is there. */
export async function writeIfThere(path: string, text: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  await writeFile(path, text);
  return true;
}

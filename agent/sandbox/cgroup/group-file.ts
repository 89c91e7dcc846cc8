/** Control group files that not every kernel has. */
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';

/** Returns whether the file exists. Absent on kernels without swap accounting, an I/O scheduler or `cpu.idle`. */
export async function writeIfThere(path: string, text: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  await writeFile(path, text);
  return true;
}

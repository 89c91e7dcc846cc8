/** Files of the kernel about what may end at any moment: /proc of a process, /sys of a cgroup. */
import { readFile } from 'node:fs/promises';

/** Null whatever the error: a process or group that is gone shows in many, and a kernel without the file in others. */
export async function readProc(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch {
    return null;
  }
}

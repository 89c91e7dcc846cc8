/** Which programs a host has. Searches fixed folders, not PATH, which lacks root's folders after a plain `su`. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin', 'snap/bin'];

/** Whether a program of this name exists. */
export type HasProgram = (name: string) => boolean;

/** @param root root of the file system */
export const programsAt =
  (root: string): HasProgram =>
  (name) =>
    FOLDERS.some((folder) => existsSync(join(root, folder, name)));

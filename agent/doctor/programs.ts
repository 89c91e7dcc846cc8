/** Which programs a host has. By folders and not by the PATH: after a plain `su` that lacks those of root. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['usr/local/sbin', 'usr/local/bin', 'usr/sbin', 'usr/bin', 'sbin', 'bin', 'snap/bin'];

/** Whether a program is there, by its name. */
export type HasProgram = (name: string) => boolean;

/** @param root of the file system */
export const programsAt =
  (root: string): HasProgram =>
  (name) =>
    FOLDERS.some((folder) => existsSync(join(root, folder, name)));

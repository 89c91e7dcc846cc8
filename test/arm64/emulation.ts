/** Turns this process's namespaces into a machine that runs arm64 programs in a tree of such programs. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../installer/stack/run-program.ts';
import type { Plan } from './plan.ts';

const QEMU = '/usr/bin/qemu-aarch64-static';
/**
 * The kernel's binfmt-misc documentation: `:name:M:offset:magic:mask:interpreter:flags`. Magic: ELF, 64 bit, little
 * endian, a program or library, machine 183 (AArch64). F opens the interpreter now, so that it works in any tree.
 */
const MAGIC = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const MASK = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

const mount = (...args: readonly string[]): Promise<string> => mustRun('mount', ['mount', ...args]);

/** Since Linux 6.7 each user namespace may have its own binfmt_misc. */
export async function enterEmulation({ tree, folder }: Plan): Promise<void> {
  const at = (path: string): string => {
    const target = join(tree, path);
    mkdirSync(target, { recursive: true });
    return target;
  };
  const registry = '/proc/sys/fs/binfmt_misc';
  await mount('-t', 'binfmt_misc', 'binfmt_misc', registry);
  writeFileSync(join(registry, 'register'), `:qemu-aarch64:M::${MAGIC}:${MASK}:${QEMU}:F`);
  for (const path of ['/proc', '/sys', '/dev']) await mount('--rbind', path, at(path));
  for (const path of ['/run', '/tmp']) await mount('-t', 'tmpfs', 'tmpfs', at(path));
  await mount('--bind', folder, at(folder));
  await mustRun('ip', ['ip', 'link', 'set', 'lo', 'up']);
}

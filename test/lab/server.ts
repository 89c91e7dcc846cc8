/** A server as a provider hands it out: a bare Debian with systemd. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sourcesList } from '../../agent/base-images/mirror.ts';
import type { Mirror } from '../../agent/base-images/mirror.ts';

/** Debian release of the hosts, unless a run asks for another: the oldest whose engine is in wide use. */
export const HOST_RELEASE = 'bookworm';
/**
 * Debian releases whose systemd, C library and Docker Engine a lab can use; with virtual machines, their kernel, too.
 */
export const Suite = z.enum([HOST_RELEASE, 'bullseye', 'trixie', 'sid']);
export type Suite = z.infer<typeof Suite>;

/** Packages in every provider's image, in addition to Debian's minimum. */
export const BARE = ['systemd', 'systemd-sysv', 'dbus', 'curl', 'ca-certificates', 'iproute2', 'procps', 'kmod'];
/** Packages that the installer would download: preinstalled if a run tests something else. */
export const PREPARED = ['docker.io', 'iptables', 'git', 'openssl', 'xz-utils', 'debootstrap'];

export function layBare(tree: string, mirror: Mirror): void {
  writeFileSync(join(tree, 'etc/apt/sources.list'), sourcesList(mirror));
  writeFileSync(join(tree, 'etc/machine-id'), '');
  writeFileSync(join(tree, 'etc/hostname'), 'lab\n');
}

/** What a server has when a provider hands it out: a bare Debian with systemd. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { sourcesList } from '../../agent/base-images/mirror.ts';
import type { Mirror } from '../../agent/base-images/mirror.ts';

/** The release of Debian that hosts are, unless a run asks for another: the oldest whose engine is wide-spread. */
export const HOST_RELEASE = 'bookworm';
/** Debian releases whose systemd, C library and Docker Engine a lab can be of; with virtual machines whose kernel, too. */
export const Suite = z.enum([HOST_RELEASE, 'bullseye', 'trixie', 'sid']);
export type Suite = z.infer<typeof Suite>;

/** What every provider's image has beside Debian's own minimum. */
export const BARE = ['systemd', 'systemd-sysv', 'dbus', 'curl', 'ca-certificates', 'iproute2', 'procps', 'kmod'];
/** What the installer would fetch: there already where a run is about something else than fetching. */
export const PREPARED = ['docker.io', 'iptables', 'git', 'openssl', 'xz-utils', 'debootstrap'];

export function layBare(tree: string, mirror: Mirror): void {
  writeFileSync(join(tree, 'etc/apt/sources.list'), sourcesList(mirror));
  writeFileSync(join(tree, 'etc/machine-id'), '');
  writeFileSync(join(tree, 'etc/hostname'), 'lab\n');
}

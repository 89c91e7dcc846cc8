/** Everything on a lab host, line by line, for a comparison of before and after. */
import type { LabHost } from './host.ts';

/** Asks the engine's API: since Debian 13, the program `docker` is in a separate package. */
const engine = (path: string, shown: string): string =>
  `curl -sS --unix-socket /run/docker.sock 'http://localhost/${path}' 2>/dev/null | grep -oE '${shown}'`;

/** A table with only the kernel's own chains is no difference: reading it creates it. */
const rules = (program: string): string =>
  `${program} 2>/dev/null | grep -E '^-A|^:[^ ]+ -' | sed 's/ *\\[[0-9:]*\\]//'`;

/**
 * Files with mode and owner (except those of packages, caches and what systemd makes for itself), users, units,
 * firewall rules, links, and the engine's objects.
 */
const LOOKS: readonly (readonly [string, string])[] = [
  [
    'file',
    `find / /run /var/lib -xdev \\( -path /proc -o -path /sys -o -path /tmp -o -path /var/tmp -o -path /var/cache -o -path /var/log \
      -o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /var/lib/docker -o -path /var/lib/containerd -o -path /run/systemd \
      -o -path /run/docker -o -path /run/containerd -o -path /run/lock -o -path /dev \\) -prune -o -printf '%p %m %u:%g %l\\n' | sort -u`,
  ],
  ['user', 'cut -d: -f1,3,7 /etc/passwd; cut -d: -f1 /etc/group /etc/shadow'],
  ['unit', "systemctl list-unit-files --no-legend --no-pager | awk '{ print $1, $2 }'"],
  ['rule', rules('iptables-save')],
  ['rule of IPv6', rules('ip6tables-save')],
  ['link', "ip -o link | awk '{ sub(/@.*/, \"\", $2); print $2 }' | grep -v '^veth'"],
  ['namespace', 'ls /run/netns 2>/dev/null'],
  ['container', engine('containers/json?all=1', '"Names":\\[[^]]*\\]')],
  ['image', engine('images/json', '"(RepoTags":\\[[^]]*\\]|Id":"[^"]*")')],
  ['network', engine('networks', '"Name":"[^"]*"')],
  ['volume', engine('volumes', '"Name":"[^"]*"')],
  ['setting', engine('info', '"LiveRestoreEnabled":[a-z]*')],
  // Line by line: the last one has no comma.
  ['setting', "sed 's/,$//' /etc/docker/daemon.json 2>/dev/null"],
];

/** Effects of the distribution's packages when they are installed or used; uninstall does not revert those. */
const OF_OTHERS = [
  /^file (?:\/etc\/ld\.so\.cache|\/etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-?|\/etc\/\.pwd\.lock) /,
  /^file \/var\/lib\/(?:systemd(?!\/timers\/stamp-ork)|private|pam|ucf|dbus|misc)\b/,
  /^file \/run\/(?:systemd|user|log|udev|xtables\.lock|dbus|netns|docker\.pid|blkid|initctl)\b/,
  /^file \/root(?:\/\.docker)? /,
  // Debian's own copies of dpkg's state, made at midnight (dpkg-db-backup.timer).
  /^file \/var\/backups\/(?:dpkg|alternatives|apt)\./,
  // The resolver that the machine's engine gives a container, with other ports after every boot.
  /^rule .* 127\.0\.0\.11\/32 /,
];

export type Inventory = ReadonlySet<string>;

/** What a host with an app has in an inventory: one without these lines would be the same before and after anything. */
const SEEN = [
  /^file \/opt\/orkestr\//,
  /^file \/etc\/orkestr\//,
  /^user orkestr-proxy:/,
  /^unit orkestr-agent\.service /,
  /^rule .*ORKESTR/,
  /^container .*orkestr/,
  /^image .*orkestr\//,
  /^network .*orkestr/,
  /^setting .*live-restore/,
];

/** @throws Error when the inventory of a host with an app lacks a kind of thing that orkestr adds */
export function mustShowOurs(inventory: Inventory): void {
  const missing = SEEN.filter((pattern) => ![...inventory].some((line) => pattern.test(line)));
  if (missing.length > 0) throw new Error(`the inventory shows nothing like ${missing.join(', ')}`);
}

export async function takeInventory(host: LabHost): Promise<Inventory> {
  const lines: string[] = [];
  for (const [kind, look] of LOOKS) {
    const { stdout } = await host.paste(look);
    lines.push(
      ...stdout
        .split('\n')
        .filter(Boolean)
        .map((line) => `${kind} ${line}`),
    );
  }
  return new Set(lines.filter((line) => !OF_OTHERS.some((pattern) => pattern.test(line))));
}

/** One line for each difference: `+` was added, `-` was removed. */
export const differences = (before: Inventory, after: Inventory): readonly string[] => [
  ...[...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`),
  ...[...before].filter((line) => !after.has(line)).map((line) => `- ${line}`),
];

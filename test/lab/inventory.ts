/** What is on a lab host, line by line, so that before and after can be compared. */
import type { LabHost } from './host.ts';

/** Asks the engine itself: since Debian 13 the program `docker` is a package of its own. */
const engine = (path: string, shown: string): string =>
  `curl -sS --unix-socket /run/docker.sock 'http://localhost/${path}' 2>/dev/null | grep -oE '${shown}'`;

/**
 * Files with mode and owner (not what packages bring along, caches and what systemd makes for itself), users, units,
 * firewall rules, links, mounts below our folders, what the engine has.
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
  // A table with nothing but the kernel's own chains is no difference: it comes into being when somebody looks.
  ['rule', "iptables-save 2>/dev/null | grep -E '^-A|^:[^ ]+ -' | sed 's/ *\\[[0-9:]*\\]//'"],
  ['link', "ip -o link | awk '{ sub(/@.*/, \"\", $2); print $2 }' | grep -v '^veth'"],
  ['namespace', 'ls /run/netns 2>/dev/null'],
  ['container', engine('containers/json?all=1', '"Names":\\[[^]]*\\]')],
  ['image', engine('images/json', '"(RepoTags":\\[[^]]*\\]|Id":"[^"]*")')],
  ['network', engine('networks', '"Name":"[^"]*"')],
  ['volume', engine('volumes', '"Name":"[^"]*"')],
  ['setting', engine('info', '"LiveRestoreEnabled":[a-z]*')],
];

/** What packages of the distribution do when they are installed or used; the installation does not take those off. */
const OF_OTHERS = [
  /^file (?:\/etc\/ld\.so\.cache|\/etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-?|\/etc\/\.pwd\.lock) /,
  /^file \/var\/lib\/(?:systemd(?!\/timers\/stamp-ork)|private|pam|ucf|dbus|misc)\b/,
  /^file \/run\/(?:systemd|user|log|udev|xtables\.lock|dbus|netns|docker\.pid|blkid|initctl)\b/,
  /^file \/root(?:\/\.docker)? /,
  // The resolver that the machine's engine gives a container, on other ports after every boot.
  /^rule .* 127\.0\.0\.11\/32 /,
];

export type Inventory = ReadonlySet<string>;

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

/** One line for each difference: `+` is there now, `-` is gone. */
export const differences = (before: Inventory, after: Inventory): readonly string[] => [
  ...[...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`),
  ...[...before].filter((line) => !after.has(line)).map((line) => `- ${line}`),
];

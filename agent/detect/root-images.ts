/** Images whose programs need Linux capabilities; an app's container has none unless its environment grants them. */
import { CHANGE_USER, capabilityCommand } from '../lib/capabilities.ts';

interface RootImage {
  readonly name: RegExp;
  readonly needs: readonly string[];
  /** Its program has file capabilities, and cannot start without them under any user. */
  readonly marked?: true;
  readonly instead?: string;
}

const IMAGES: readonly RootImage[] = [
  { name: /^nginx(?::|$)/, needs: CHANGE_USER, instead: 'nginxinc/nginx-unprivileged' },
  { name: /^wordpress(?::(?!.*cli)|$)/, needs: CHANGE_USER },
  { name: /^(?:httpd(?::|$)|php:.*(?:apache|fpm))/, needs: ['SETGID', 'SETUID'] },
  { name: /^caddy(?::|$)/, needs: ['NET_BIND_SERVICE'], marked: true },
];

/** A warning if the app's image is one of these and the environment does not grant all that it needs. */
export function capabilityWarning(
  { base, user }: { readonly base: string; readonly user: string | undefined },
  given: readonly string[],
): string[] {
  const name = base.replace(/^(?:(?:index\.)?docker\.io\/)?(?:library\/)?/, '').replace(/@.*$/, '');
  const image = IMAGES.find((one) => one.name.test(name));
  if (image === undefined || image.needs.every((need) => given.includes(need))) return [];
  const isRoot = user === undefined || /^(?:root|0)(?::|$)/.test(user);
  if (!isRoot && image.marked === undefined) return [];
  const why =
    image.marked === undefined ? 'starts as root and switches to another user' : 'has a program with file capabilities';
  const instead =
    image.instead === undefined ? '' : ` Or use ${image.instead}, which needs none and listens on port 8080.`;
  return [
    `${base} ${why}, but containers have no capabilities by default. Grant the environment those that it needs: ${capabilityCommand(image.needs)}.${instead}`,
  ];
}

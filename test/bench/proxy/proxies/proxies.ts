/** The proxies, by their names in the figures. */
import { caddy } from './caddy.ts';
import type { StartProxy } from './contract.ts';
import { haproxy } from './haproxy.ts';
import { nginx } from './nginx.ts';
import { orkestr } from './ours.ts';
import type { Build } from './ours.ts';

export const PROXY_NAMES = ['ours', 'general', 'nginx', 'haproxy', 'caddy'] as const;
export type ProxyName = (typeof PROXY_NAMES)[number];

export const starters = (build: Build): Readonly<Record<ProxyName, StartProxy>> => ({
  ours: orkestr('fast', build),
  general: orkestr('http-proxy', build),
  nginx: nginx('tuned'),
  haproxy,
  caddy,
});

/** nginx with its own buffers. Measured once per case: the better of the two counts as nginx's figure. */
export const untunedNginx = nginx('default');

/** The upstreams from Debian's packages, in the order in which they are tried. */
import { apache } from './apache.ts';
import { gunicorn } from './gunicorn.ts';
import { haproxy } from './haproxy.ts';
import { jetty } from './jetty.ts';
import { lighttpd } from './lighttpd.ts';
import { nginx } from './nginx.ts';
import { puma } from './puma.ts';
import { tomcat } from './tomcat.ts';
import { tornado } from './tornado.ts';
import type { UpstreamKind } from './upstream.ts';
import { waitress } from './waitress.ts';

// Slow starters first: several run at once, and the others finish while Java starts.
export const UPSTREAMS: readonly UpstreamKind[] = [
  tomcat,
  jetty,
  gunicorn,
  waitress,
  tornado,
  puma,
  nginx,
  apache,
  lighttpd,
  haproxy,
];

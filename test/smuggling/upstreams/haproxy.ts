/** HAProxy that responds by itself; its log records the requests. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { UpstreamKind } from './upstream.ts';

export const haproxy: UpstreamKind = {
  name: 'haproxy',
  refusesUnseen: false,
  command: ({ folder, port }) => {
    const file = join(folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
  log stdout format raw local0 info
  maxconn 512
defaults
  mode http
  log global
  log-format "%HM %HU"
  timeout client 30s
  timeout connect 5s
  timeout server 30s
  timeout http-request 10s
frontend upstream
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string ok
`,
    );
    return { argv: ['haproxy', '-db', '-f', file], seenInOutput: true };
  },
};

/** nginx, as experts tune it in front of an app server, and with its own buffers. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../../harness/free-port.ts';
import { HOST, nginxPreamble, nginxTemporary } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { untilListening } from '../wait.ts';
import type { StartProxy } from './contract.ts';

/** Both keep connections to the app alive, which nginx 1.22 does not do by default and every guide recommends. */
const SETTINGS = {
  tuned: `sendfile on; tcp_nopush on; tcp_nodelay on;
  keepalive_requests 1000000000; keepalive_timeout 10m; reset_timedout_connection on;
  proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
  client_body_buffer_size 64k; client_max_body_size 0;`,
  default: 'keepalive_requests 1000000000; keepalive_timeout 10m; client_max_body_size 0;',
} as const;

export function nginx(settings: keyof typeof SETTINGS): StartProxy {
  return async (lab) => {
    const home = mkdtempSync(join(lab.folder, `nginx-${settings}-`));
    const ports = { http: await freePort(), https: await freePort() };
    const file = join(home, 'nginx.conf');
    writeFileSync(file, config(lab, home, ports, SETTINGS[settings]));
    const server = lab.start({
      name: `nginx (${settings})`,
      argv: ['nginx', '-c', file, '-p', home],
      cpu: lab.cpus.proxy,
      logFile: join(home, 'log'),
    });
    await untilListening(server, [ports.http, ports.https]);
    return { process: server, ports };
  };
}

function config(lab: Lab, home: string, ports: { http: number; https: number }, settings: string): string {
  return `${nginxPreamble(home, 12_000)}
http {
  ${nginxTemporary(home)}
  access_log off;
  ${settings}
  upstream app { server 127.0.0.1:${lab.upstreamPort}; keepalive 512; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${ports.http} backlog=4096;
    listen 127.0.0.1:${ports.https} ssl http2 backlog=4096;
    server_name ${HOST};
    ssl_certificate ${lab.certificate.crt};
    ssl_certificate_key ${lab.certificate.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    location / {
      proxy_pass http://app;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
    }
  }
}
`;
}

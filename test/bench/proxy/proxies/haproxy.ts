/** HAProxy on one thread: its defaults are its tuning for throughput. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../../harness/free-port.ts';
import type { Lab } from '../lab.ts';
import { untilListening } from '../wait.ts';
import type { StartProxy } from './contract.ts';

export const haproxy: StartProxy = async (lab) => {
  const home = mkdtempSync(join(lab.folder, 'haproxy-'));
  const ports = { http: await freePort(), https: await freePort() };
  const file = join(home, 'haproxy.cfg');
  writeFileSync(file, config(lab, ports));
  const server = lab.start({
    name: 'haproxy',
    argv: ['haproxy', '-db', '-f', file],
    cpu: lab.cpus.proxy,
    logFile: join(home, 'log'),
  });
  await untilListening(server, [ports.http, ports.https]);
  return { process: server, ports };
};

/** `no strict-limits`: a connection to the app per client takes more descriptors than many machines allow. */
const config = (lab: Lab, ports: { http: number; https: number }): string => `global
  nbthread 1
  maxconn 10500
  no strict-limits
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 5s
  timeout client 10m
  timeout server 60s
  timeout http-keep-alive 10m
  http-reuse always
frontend edge
  bind 127.0.0.1:${ports.http} backlog 4096
  bind 127.0.0.1:${ports.https} backlog 4096 ssl crt ${lab.certificate.pem} alpn h2,http/1.1
  http-request set-header X-Forwarded-For %[src]
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  default_backend app
backend app
  server app 127.0.0.1:${lab.upstreamPort}
`;

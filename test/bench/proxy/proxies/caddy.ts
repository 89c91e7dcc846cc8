/** Caddy with a pool of keep-alive connections to the app, and nothing else in between. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../../harness/free-port.ts';
import { HOST } from '../lab.ts';
import type { Lab } from '../lab.ts';
import { untilListening } from '../wait.ts';
import type { StartProxy } from './contract.ts';

export const caddy: StartProxy = async (lab) => {
  const home = mkdtempSync(join(lab.folder, 'caddy-'));
  const ports = { http: await freePort(), https: await freePort() };
  const file = join(home, 'Caddyfile');
  writeFileSync(file, config(lab, home, ports));
  const server = lab.start({
    name: 'caddy',
    argv: ['caddy', 'run', '--config', file, '--adapter', 'caddyfile'],
    cpu: lab.cpus.proxy,
    logFile: join(home, 'log'),
    env: { PATH: process.env['PATH'], HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home, GOMAXPROCS: '1' },
  });
  await untilListening(server, [ports.http, ports.https]);
  return { process: server, ports };
};

/** Caddy sets X-Forwarded-For, -Proto and -Host by itself. Access logs are off by default. */
const config = (lab: Lab, home: string, ports: { http: number; https: number }): string => `{
  admin off
  auto_https off
  storage file_system ${home}
  servers {
    protocols h1 h2
  }
}
(app) {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${lab.upstreamPort} {
    transport http {
      compression off
      keepalive 2m
      keepalive_idle_conns 1024
      keepalive_idle_conns_per_host 1024
    }
  }
}
http://${HOST}:${ports.http} {
  import app
}
https://${HOST}:${ports.https} {
  import app
  tls ${lab.certificate.crt} ${lab.certificate.key}
}
`;

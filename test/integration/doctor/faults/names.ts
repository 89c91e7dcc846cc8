/** Faults of name servers and registries, and what the doctor must report. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../host.ts';
import type { Fault, Undo } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: 'the name server refuses connections',
    inject: (host, undo) => ({ places: { resolvConf: resolvConf(host, undo, 'nameserver 127.53.7.10\n') } }),
    finds: ['dns/silent'],
    mend: /ping -c1 127\.53\.7\.10/,
    tells: /ECONNREFUSED/,
  },
  {
    name: 'the name server accepts queries without an answer, and the hub URL has a host name',
    async inject(host, undo) {
      const server = createSocket('udp4').bind(53, '127.53.7.11');
      undo(() => server.close());
      await once(server, 'listening');
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity(host.hubUrl.replace('127.0.0.1', 'localhost'));
      return { places: { resolvConf: resolvConf(host, undo, 'nameserver 127.53.7.11\n') } };
    },
    finds: ['dns/silent'],
    mend: /ping -c1 127\.53\.7\.11/,
    tells: /no answer in 900 ms/,
  },
  {
    name: 'resolv.conf names no server',
    inject: (host, undo) => ({ places: { resolvConf: resolvConf(host, undo, 'search example.com\n') } }),
    finds: ['dns/no-servers'],
    mend: /nameserver/,
  },
  {
    name: 'the only name server is on loopback, where builds cannot reach it',
    inject: (host) => ({ places: { engineSettings: join(host.folder, 'no-settings') } }),
    finds: ['dns/loopback-only'],
    mend: /"dns": \["9\.9\.9\.9"\]/,
  },
  {
    name: 'the registry of the base images does not answer',
    inject: ({ config }) => ({ config: { baseImages: { ...config.baseImages, node: '127.0.0.1:1/node:22' } } }),
    finds: ['registry/unreachable'],
    mend: /https:\/\/127\.0\.0\.1:1\/v2\//,
  },
  {
    // The names of this host are resolved in a network without any.
    name: 'Docker Hub does not answer, and a base image is not on the host',
    inject: ({ config }) => ({ config: { baseImages: { ...config.baseImages, go: 'golang:1.27-trixie' } } }),
    finds: ['registry/unreachable'],
    mend: /https:\/\/registry-1\.docker\.io\/v2\/.*base-images build/,
    tells: /not on this host: golang:1\.27-trixie/,
  },
];

function resolvConf(host: Host, undo: Undo, text: string): string {
  const path = join(host.folder, 'other-resolv.conf');
  undo(() => rmSync(path));
  writeFileSync(path, text);
  return path;
}

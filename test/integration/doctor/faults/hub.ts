/** Faults of the hub, its clock and its certificate, and what the doctor must report. */
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Server } from 'node:net';
import { makeCertificate } from '../../../harness/certificates.ts';
import type { Host } from '../host.ts';
import { listen } from './fault.ts';
import type { Fault, Undo } from './fault.ts';

export const faults: readonly Fault[] = [
  {
    name: "the hub's clock is an hour ahead",
    async inject(host, undo) {
      await hubOf(
        host,
        undo,
        createServer((_request, response) => {
          response.setHeader('date', new Date(Date.now() + 3_600_000).toUTCString());
          response.end('{"status":"ok"}');
        }),
      );
    },
    finds: ['clock/far-off'],
    mend: /timedatectl set-ntp true/,
    // The Date header has a resolution of one second.
    tells: /360[01] s behind/,
  },
  {
    name: 'the hub does not answer',
    inject(host, undo) {
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity('http://127.0.0.1:1');
    },
    finds: ['hub/unreachable'],
    mend: /curl -v http:\/\/127\.0\.0\.1:1\/healthz/,
  },
  {
    name: "the hub's certificate is from an untrusted authority",
    async inject(host, undo) {
      const { cert, key } = await makeCertificate(host.folder, 'hub', ['IP:127.0.0.1']);
      await hubOf(
        host,
        undo,
        createSecureServer({ cert, key }, (_request, response) => response.end('{"status":"ok"}')),
      );
    },
    finds: ['hub/certificate-authority'],
    mend: /update-ca-(?:certificates|trust) && systemctl restart orkestr-agent`.*-connect 127\.0\.0\.1:\d+/,
    tells: /DEPTH_ZERO_SELF_SIGNED_CERT/,
  },
  {
    name: "another server answers at the hub's address",
    async inject(host, undo) {
      await hubOf(
        host,
        undo,
        createServer((_request, response) => response.writeHead(404).end('Not Found')),
      );
    },
    finds: ['hub/not-a-hub'],
    mend: /curl -i/,
  },
  {
    name: 'the key of the hub differs from the one at enrolment',
    async inject(host, undo) {
      undo(() => host.serveAgent());
      const link = { connected: false, since: new Date(0).toISOString(), lastContact: null };
      const lastError = 'The server that answers is not the hub that this host was enrolled with.';
      await host.serveAgent({ hub: { ...link, hubUrl: host.hubUrl, lastError, lastCode: 'ORK_SIGNATURE' } });
    },
    finds: ['hub/other-hub'],
    mend: /orkestr-agent leave/,
  },
  {
    name: "the hub's pinned key is damaged",
    inject(host, undo) {
      undo(() => host.writeIdentity(host.hubUrl));
      host.writeIdentity(host.hubUrl, 'not a key');
    },
    finds: ['hub/pinned-key'],
    mend: /identity\.json/,
  },
];

/** Points the host at another hub at another address. */
async function hubOf(host: Host, undo: Undo, server: Server): Promise<void> {
  undo(() => host.writeIdentity(host.hubUrl));
  const scheme = 'setSecureContext' in server ? 'https' : 'http';
  host.writeIdentity(`${scheme}://127.0.0.1:${await listen(server, undo)}`);
}

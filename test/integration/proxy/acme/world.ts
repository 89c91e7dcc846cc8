/**
 * Runs in a network namespace that acme.test.ts made: a CA, DNS, an app and a whole proxy process on real-world ports.
 * Prints its findings as one JSON line.
 */
import { createServer } from 'node:http';
import { connect } from 'node:tls';
import type { PeerCertificate } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { FlipRequest } from '../../../../protocol/proxy-admin.ts';
import { EdgeProcess } from '../../../harness/edge-process.ts';
import { startPebble } from '../../../harness/pebble.ts';
import type { Pebble } from '../../../harness/pebble.ts';
import { entryFor, listen } from '../harness.ts';

export interface Found {
  readonly body: string;
  readonly issuer: string;
  readonly orders: number;
  /** Results of the proxy after a restart with the same state folder. */
  readonly again: { readonly body: string; readonly serial: string; readonly orders: number };
  readonly serial: string;
}

const HOST = 'app.test';
/** Longest wait for the CA. */
const CERTIFICATE_MS = 60_000;

async function main(folder: string, address: string): Promise<Found> {
  const pebble = await startPebble({ folder, httpPort: 80, tlsPort: 443, dnsPort: 53 });
  await pebble.setAddresses(HOST, [address]);
  const app = createServer((_req, res) => res.end('from the app'));
  const port = await listen(app);
  const first = await startProxy(folder, pebble);
  await first.flip(FlipRequest.parse({ entry: entryFor(port), expectedGeneration: 0 }));
  const { body, certificate } = await ask(address, pebble.root);
  const orders = pebble.orders;
  await first.stop();
  const second = await startProxy(folder, pebble);
  const repeated = await ask(address, pebble.root);
  const again = { body: repeated.body, serial: repeated.certificate.serialNumber, orders: pebble.orders };
  await second.stop();
  await pebble.stop();
  app.close();
  return { body, issuer: String(certificate.issuer.CN), serial: certificate.serialNumber, orders, again };
}

const startProxy = (folder: string, { directory, caFile }: Pebble): Promise<EdgeProcess> =>
  EdgeProcess.start({
    name: 'proxy',
    folder,
    engine: 'fast',
    env: {
      ORKESTR_PROXY_LISTEN: '0.0.0.0:80',
      ORKESTR_PROXY_LISTEN_TLS: '0.0.0.0:443',
      ORKESTR_PROXY_ACME: directory,
      ORKESTR_PROXY_ACME_CA: caFile,
    },
  });

interface Visit {
  readonly body: string;
  readonly certificate: PeerCertificate;
}

/** Acts as a visitor who retries until there is a certificate. */
async function ask(address: string, root: string): Promise<Visit> {
  for (const until = Date.now() + CERTIFICATE_MS; ; await sleep(200)) {
    try {
      return await visit(address, root);
    } catch (error) {
      if (Date.now() > until) throw error;
    }
  }
}

function visit(address: string, root: string): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port: 443, servername: HOST, ca: root });
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => socket.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`));
    socket.once('end', () => {
      resolve({ body: text.split('\r\n\r\n')[1] ?? '', certificate: socket.getPeerCertificate() });
      socket.destroy();
    });
  });
}

const [folder = '', address = ''] = process.argv.slice(2);
process.stdout.write(`${JSON.stringify(await main(folder, address))}\n`);
process.exit(0);

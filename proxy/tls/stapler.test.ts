/** OCSP with openssl as the responder, and what clients see of it. */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { makeCertificate } from '../../test/harness/certificates.ts';
import type { MadeCertificate } from '../../test/harness/certificates.ts';
import { freePort } from '../../test/harness/free-port.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { makeOcspRequest, readOcspResponse } from './ocsp.ts';
import { DEFAULT_TIMEOUTS } from '../config.ts';
import { attachTls, secureServerOptions } from './secure-server.ts';
import { startTls } from './start.ts';
import type { Tls } from './start.ts';
import { mustStaple } from './x509.ts';

const openssl = (...args: string[]) => promisify(execFile)('openssl', args);
const HOUR_MS = 3_600_000;

interface Issued {
  readonly name: string;
  readonly leaf: X509Certificate;
}

let root: string;
let port: number;
let ca: MadeCertificate;
let good: Issued;
let revoked: Issued;
let strict: Issued;
const clock = { offset: 0, now: () => new Date(Date.now() + clock.offset), monotonic: () => performance.now() };

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'orkestr-ocsp-'));
  ca = await makeCertificate(root, 'ca', ['DNS:ca.test'], { extensions: ['keyUsage=keyCertSign,digitalSignature'] });
  port = await freePort();
  good = await issue('good');
  revoked = await issue('revoked', { isRevoked: true });
  strict = await issue('strict', { extension: 'tlsfeature=status_request' });
});
after(() => rm(root, { recursive: true, force: true }));

/** Issues a certificate of the CA with its chain, and adds it to the responder's index. */
async function issue(name: string, { isRevoked = false, extension = '' } = {}): Promise<Issued> {
  const at = (end: string): string => join(root, `${name}.${end}`);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key')];
  await openssl('req', ...newKey, '-subj', `/CN=${name}`, '-out', at('csr'));
  const url = `authorityInfoAccess=OCSP;URI:http://127.0.0.1:${port}/`;
  await writeFile(at('ext'), [`subjectAltName=DNS:${name}.test`, url, extension].join('\n'));
  const signing = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-CAcreateserial', '-days', '30', '-extfile', at('ext')];
  await openssl('x509', '-req', '-in', at('csr'), ...signing, '-out', at('crt'));
  const leaf = new X509Certificate(await readFile(at('crt')));
  await appendFile(at('crt'), ca.cert);
  const state = isRevoked ? ['R', '300101000000Z', '250101000000Z'] : ['V', '300101000000Z', ''];
  await appendFile(join(root, 'index.txt'), `${[...state, leaf.serialNumber, 'unknown', `/CN=${name}`].join('\t')}\n`);
  return { name, leaf };
}

/** Starts Debian's openssl as the CA's responder. */
async function startResponder(t: TestContext): Promise<{ stop(): Promise<void> }> {
  const signer = ['-CA', ca.certFile, '-rsigner', ca.certFile, '-rkey', ca.keyFile, '-nmin', '60'];
  const args = ['ocsp', '-port', String(port), '-index', join(root, 'index.txt'), ...signer];
  const child = spawn('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  t.after(stop);
  // `waiting for OCSP client connections`
  await once(child.stderr, 'data');
  child.stderr.resume();
  return { stop };
}

/** The responder's response for a certificate, DER. */
async function askFor({ leaf }: Issued): Promise<Buffer> {
  const response = await fetch(`http://127.0.0.1:${port}/`, {
    method: 'POST',
    headers: { 'content-type': 'application/ocsp-request' },
    body: new Uint8Array(makeOcspRequest(leaf, new X509Certificate(ca.cert))),
  });
  return Buffer.from(await response.arrayBuffer());
}

async function start(
  t: TestContext,
  issued: Issued,
  state?: string,
): Promise<{ tls: Tls; port: number; state: string }> {
  const folder = state ?? (await mkdtemp(join(root, 'one-')));
  for (const end of ['crt', 'key']) await copyFile(join(root, `${issued.name}.${end}`), join(folder, `a.${end}`));
  const settings = { certificatesFolder: folder, stateDirectory: folder, acme: null };
  const started = await startTls(settings, { log: makeLogger('proxy', 'silent'), clock, lookMs: 24 * HOUR_MS });
  t.after(async () => {
    await started.close();
    clock.offset = 0;
  });
  const server = tls.createServer(
    secureServerOptions(started.terminator, DEFAULT_TIMEOUTS, { alpn: ['http/1.1'] }),
    (socket) => socket.end(),
  );
  t.after(attachTls(server, started.terminator, DEFAULT_TIMEOUTS));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { tls: started, port: (server.address() as AddressInfo).port, state: folder };
}

/** What openssl, which validates the response, prints about it. */
async function status(listening: { port: number }, { name }: Issued): Promise<string> {
  const args = ['s_client', '-connect', `127.0.0.1:${listening.port}`, '-servername', `${name}.test`, '-status'];
  const child = execFile('openssl', [...args, '-CAfile', ca.certFile]);
  let output = '';
  child.stdout?.on('data', (text: string) => (output += text));
  child.stdin?.end();
  await once(child, 'close');
  return output;
}

test('a good response is stapled, and kept over a restart while it is valid', async (t) => {
  const responder = await startResponder(t);
  const first = await start(t, good);
  await first.tls.look();
  assert.match(await status(first, good), /OCSP Response Status: successful[^]*Cert Status: good/);
  await first.tls.close();
  await responder.stop();

  const second = await start(t, good, first.state);
  assert.match(await status(second, good), /Cert Status: good/);
  clock.offset = 61 * 60_000;
  await second.tls.look();
  assert.match(await status(second, good), /OCSP response: no response sent/);
  assert.equal(second.tls.view().certificates[0]?.lastError, null, 'a client does not need it');
});

test('a response that says the certificate is revoked is not stapled', async (t) => {
  await startResponder(t);
  const listening = await start(t, revoked);
  await listening.tls.look();
  assert.match(await status(listening, revoked), /OCSP response: no response sent/);
});

test('a must-staple certificate without a response is shown with the reason, until it has one', async (t) => {
  assert.equal(mustStaple(strict.leaf.raw), true);
  assert.equal(mustStaple(good.leaf.raw), false);
  const listening = await start(t, strict);
  const lastError = () => listening.tls.view().certificates[0]?.lastError ?? null;
  await listening.tls.look();
  assert.match(lastError() ?? '', /^ORK_CERTIFICATE_STAPLE: .*ECONNREFUSED/);
  await startResponder(t);
  await listening.tls.look();
  assert.notEqual(lastError(), null, 'asked again after a while only');
  clock.offset = 301_000;
  await listening.tls.look();
  assert.equal(lastError(), null);
  assert.match(await status(listening, strict), /Cert Status: good/);
});

test('a responder that repeats the same response is queried again after a while, not at each check', async (t) => {
  const responder = await startResponder(t);
  const response = await askFor(good);
  await responder.stop();
  let asked = 0;
  const same = createServer((question, answer) => {
    asked += 1;
    question.resume().on('end', () => answer.end(response));
  }).listen(port, '127.0.0.1');
  t.after(() => same.close());
  await once(same, 'listening');

  const { tls } = await start(t, good);
  await tls.look();
  assert.equal(asked, 1);
  for (const [minutes, questions] of [
    [29, 1],
    [31, 2],
    [31.1, 2],
    [35, 2],
    [36.5, 3],
    [36.6, 3],
  ] as const) {
    clock.offset = minutes * 60_000;
    await tls.look();
    assert.equal(asked, questions, `after ${minutes} of 60 minutes`);
  }
});

test('a response is stapled only if a client would accept it', async (t) => {
  await startResponder(t);
  const issuer = new X509Certificate(ca.cert);
  const der = await askFor(good);
  const now = Date.now();
  const read = (bytes: Buffer, leaf = good.leaf, at = now) => readOcspResponse(bytes, leaf, issuer, at);
  const { thisUpdate, nextUpdate } = read(der);
  assert.equal(nextUpdate - thisUpdate, HOUR_MS);
  assert.throws(() => read(der, strict.leaf), /another certificate/);
  assert.throws(() => read(der, good.leaf, nextUpdate), /not of now/);
  assert.throws(() => read(der, good.leaf, thisUpdate - 1000), /not of now/);
  const stranger = await makeCertificate(root, 'stranger', ['DNS:ca.test']);
  assert.throws(() => readOcspResponse(der, good.leaf, new X509Certificate(stranger.cert), now), /signature/);
  for (let at = 0; at < der.length; at += 5) assert.throws(() => read(der.subarray(0, at)), Error, `cut at ${at}`);
  // From the responder's name to the signature algorithm (ecdsa-with-SHA256).
  const from = der.indexOf('\x0c\x02ca', 0, 'latin1');
  const to = der.indexOf(Buffer.from('06082a8648ce3d040302', 'hex'));
  assert.ok(from > 0 && to - from > 100, `${from} to ${to}`);
  for (let at = from; at < to - 2; at += 3) {
    const flipped = Buffer.from(der);
    flipped[at] = (flipped[at] ?? 0) ^ 4;
    assert.throws(() => read(flipped), Error, `flipped at ${at}`);
  }
});

/** Real handshakes, with node:tls and openssl, against listeners whose certificates come from a folder. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Duplex } from 'node:stream';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { pino } from 'pino';
import { makeCertificate } from '../../test/harness/certificates.ts';
import type { MadeCertificate } from '../../test/harness/certificates.ts';
import { makeLogger } from '../../protocol/service/logger.ts';
import { systemClock } from '../clock.ts';
import { DEFAULT_TIMEOUTS } from '../config.ts';
import { attachTls, secureServerOptions } from './secure-server.ts';
import { startTls } from './start.ts';
import type { Tls } from './start.ts';
import { TerminatorChange } from './state.ts';
import { StaticTerminator } from './static-terminator.ts';

let root: string;
let exact: MadeCertificate;
let wildcard: MadeCertificate;
let other: MadeCertificate;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'orkestr-tls-'));
  [exact, wildcard, other] = await Promise.all([
    makeCertificate(root, 'exact', ['DNS:www.shop.test']),
    makeCertificate(root, 'wildcard', ['DNS:*.shop.test', 'DNS:shop.test']),
    makeCertificate(root, 'other', ['DNS:www.shop.test']),
  ]);
});
after(() => rm(root, { recursive: true, force: true }));

interface Listening {
  readonly tls: Tls;
  readonly folder: string;
  readonly port: number;
  readonly put: (name: string, made: MadeCertificate) => Promise<void>;
}

async function start(t: TestContext, pairs: Readonly<Record<string, MadeCertificate>>): Promise<Listening> {
  const base = await mkdtemp(join(root, 'one-'));
  const folder = join(base, 'certificates');
  await mkdir(folder);
  const put = async (name: string, { certFile, keyFile }: MadeCertificate): Promise<void> => {
    await Promise.all([
      copyFile(certFile, join(folder, `${name}.crt`)),
      copyFile(keyFile, join(folder, `${name}.key`)),
    ]);
  };
  for (const [name, made] of Object.entries(pairs)) await put(name, made);
  const started = await startTls(
    { certificatesFolder: folder, stateDirectory: base, acme: null },
    { log: makeLogger('proxy', 'silent'), clock: systemClock, lookMs: 86_400_000 },
  );
  t.after(() => started.close());
  return { tls: started, folder, port: await listen(t, started.terminator), put };
}

/** A listener that sends its protocol and whether the session was resumed. */
async function listen(t: TestContext, terminator: StaticTerminator, timeouts = DEFAULT_TIMEOUTS): Promise<number> {
  const server = tls.createServer(secureServerOptions(terminator, timeouts, { alpn: ['h2', 'http/1.1'] }), (socket) => {
    socket.on('error', () => socket.destroy());
    socket.end(`${socket.alpnProtocol} ${socket.isSessionReused() ? 'resumed' : 'full'}\n`);
  });
  const detach = attachTls(server, terminator, timeouts);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    detach();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** Output of `openssl s_client`, whatever its exit code. */
async function openssl(port: number, ...args: string[]): Promise<string> {
  const child = execFile('openssl', ['s_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...args]);
  let output = '';
  child.stdout?.on('data', (text: string) => (output += text));
  child.stderr?.on('data', (text: string) => (output += text));
  child.stdin?.end();
  await once(child, 'close');
  return output;
}

/** The serial number that a client gets, or the code of its error. */
async function connect(port: number, servername: string, options: tls.ConnectionOptions = {}): Promise<string> {
  const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false, ...options });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerX509Certificate()?.serialNumber ?? '';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
  }
}

const serialOf = ({ cert }: MadeCertificate): string => new X509Certificate(cert).serialNumber;

test('an exact name takes precedence over a wildcard, which covers one label', async (t) => {
  const { port } = await start(t, { w: wildcard, e: exact });
  const [own, any] = [serialOf(exact), serialOf(wildcard)];
  assert.equal(await connect(port, 'www.shop.test'), own);
  assert.equal(await connect(port, 'WWW.Shop.Test'), own);
  // From clients that take the name from a URL with a final dot (RFC 6066 section 3 has none); Host may have it, too.
  assert.equal(await connect(port, 'www.shop.test.'), own);
  assert.match(await connect(port, 'www.shop.test..'), /HANDSHAKE_FAILURE/);
  assert.equal(await connect(port, 'api.shop.test'), any);
  assert.equal(await connect(port, 'shop.test'), any);
  for (const name of ['a.b.shop.test', 'shop.test.evil.test', 'wwwxshop.test', 'test', 'xshop.test']) {
    assert.match(await connect(port, name), /HANDSHAKE_FAILURE/, name);
  }
});

test('a name without a certificate, and a missing name, end in an alert', async (t) => {
  const { port } = await start(t, { e: exact });
  assert.match(await openssl(port, '-servername', 'nobody.test'), /alert handshake failure/);
  assert.match(await openssl(port, '-servername', 'nobody.test', '-tls1_2'), /alert handshake failure/);
  assert.match(await openssl(port, '-noservername'), /alert handshake failure/);
});

test('TLS 1.2 and 1.3 with forward secrecy are accepted, nothing older or weaker', async (t) => {
  const { port } = await start(t, { e: exact });
  const name = ['-servername', 'www.shop.test'];
  assert.match(await openssl(port, ...name), /New, TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256/);
  const old = await openssl(port, ...name, '-tls1_2');
  assert.match(old, /New, TLSv1\.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256/);
  assert.match(old, /Server Temp Key: X25519/);
  const chacha = 'ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256';
  assert.match(await openssl(port, ...name, '-tls1_2', '-cipher', chacha), /Cipher is ECDHE-ECDSA-CHACHA20/);
  const lax = ['-cipher', 'ALL:@SECLEVEL=0'];
  assert.match(await openssl(port, ...name, '-tls1_1', ...lax), /alert protocol version/);
  const cbc = await openssl(port, ...name, '-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0');
  assert.match(cbc, /alert handshake failure/);
});

test('ALPN selects our first protocol that the client offers, none if it offers none, and an alert if none fits', async (t) => {
  const { port } = await start(t, { e: exact });
  const name = ['-servername', 'www.shop.test'];
  assert.match(await openssl(port, ...name, '-alpn', 'http/1.1,h2'), /ALPN protocol: h2[^]*\nh2 full/);
  assert.match(await openssl(port, ...name, '-alpn', 'foo,http/1.1'), /\nhttp\/1\.1 full/);
  assert.match(await openssl(port, ...name), /\nfalse full/);
  assert.match(await openssl(port, ...name, '-alpn', 'foo'), /alert no application protocol/);
  assert.match(await openssl(port, ...name, '-alpn', 'acme-tls/1'), /alert no application protocol/);
});

test('a session is resumed on another worker, until the ticket keys change', async (t) => {
  const { tls: started, port } = await start(t, { e: exact });
  const worker = new StaticTerminator(systemClock);
  // As over IPC: JSON, validated.
  worker.update(TerminatorChange.parse(JSON.parse(JSON.stringify(started.state()))));
  const workerPort = await listen(t, worker);
  const session = join(root, 'session');
  for (const version of ['-tls1_2', '-tls1_3']) {
    const args = ['-servername', 'www.shop.test', version];
    assert.match(await openssl(port, ...args, '-sess_out', session), /\nfalse full/);
    assert.match(await openssl(port, ...args, '-sess_in', session), /\nfalse resumed/, version);
    assert.match(await openssl(workerPort, ...args, '-sess_in', session), /\nfalse resumed/, version);
    worker.update({ ticketKeys: Buffer.alloc(48, version).toString('base64') });
    assert.match(await openssl(workerPort, ...args, '-sess_in', session), /\nfalse full/, version);
    worker.update({ ticketKeys: started.state().ticketKeys });
  }
});

test('changed files are used, broken ones never replace good ones, and both are shown', async (t) => {
  const { tls: started, port, folder, put } = await start(t, { site: exact });
  started.wanted(['www.shop.test', 'api.shop.test']);
  const [first, second] = [serialOf(exact), serialOf(other)];
  const lastError = () => started.view().certificates.find(({ host }) => host === 'www.shop.test')?.lastError;
  const serves = async (serial: string): Promise<void> => {
    await started.look();
    assert.equal(await connect(port, 'www.shop.test'), serial);
  };
  await serves(first);

  // A partial copy, a key of another certificate, an empty file, a missing file.
  const [crt, key] = [join(folder, 'site.crt'), join(folder, 'site.key')];
  await writeFile(crt, exact.cert.slice(0, 300));
  await serves(first);
  assert.match(lastError() ?? '', /^ORK_CERTIFICATE_UNUSABLE: The certificate is not usable/);
  await copyFile(other.certFile, crt);
  await serves(first);
  assert.match(lastError() ?? '', /private key is of another certificate/);
  await writeFile(crt, '');
  await serves(first);
  await rm(crt);
  await serves(first);
  assert.match(lastError() ?? '', /^ORK_CERTIFICATE_UNUSABLE: .*ENOENT/);

  await put('site', other);
  await serves(second);
  assert.equal(lastError(), null);
  // A link whose target changes, like certbot's.
  await Promise.all([rm(crt), rm(key)]);
  await Promise.all([symlink(exact.certFile, crt), symlink(exact.keyFile, key)]);
  await serves(first);

  assert.deepEqual(
    started.view().missing.map(({ host, reason }) => [host, reason.split(':', 1)[0]]),
    [['api.shop.test', 'ORK_CERTIFICATE_NONE']],
  );
  await Promise.all([rm(crt), rm(key)]);
  await started.look();
  assert.match(await connect(port, 'www.shop.test'), /HANDSHAKE_FAILURE/);
  assert.equal(started.view().missing.length, 2);
});

test('for a key that only root can read the reason says which user must be able to read it', async (t) => {
  const { tls: started, folder, put } = await start(t, { site: exact });
  started.wanted(['shop.test']);
  await put('shop.test', wildcard);
  await chmod(join(folder, 'shop.test.key'), 0o600);
  await letPass(t, folder);
  process.seteuid?.(65_534);
  try {
    await started.look();
  } finally {
    process.seteuid?.(0);
  }
  const [missing] = started.view().missing;
  assert.match(missing?.reason ?? '', /shop\.test\.key must be readable by the user that the proxy runs as/);
});

/** Lets other users traverse all folders above this one until the test ends. */
async function letPass(t: TestContext, folder: string): Promise<void> {
  for (let above = folder; above !== dirname(above); above = dirname(above)) {
    const { mode } = await stat(above);
    if ((mode & 0o011) === 0o011) continue;
    await chmod(above, mode | 0o011);
    t.after(() => chmod(above, mode));
  }
}

test('a folder that disappears for a while does not take its certificates with it', async (t) => {
  const { tls: started, port, folder } = await start(t, { site: exact });
  await rename(folder, `${folder}.away`);
  await started.look();
  assert.equal(await connect(port, 'www.shop.test'), serialOf(exact));
});

test('an expired certificate is served but does not cover its host, and is replaced by a valid one', async (t) => {
  const { tls: started, port, put } = await start(t, { a: exact });
  const late = { now: () => new Date(Date.now() + 40 * 86_400_000), monotonic: () => 0 };
  const terminator = new StaticTerminator(late);
  terminator.update(started.state());
  assert.notEqual(terminator.contextFor('www.shop.test'), null);
  assert.equal(terminator.covers('www.shop.test'), false);
  const long = await makeCertificate(root, 'long', ['DNS:www.shop.test'], { days: 90 });
  await put('z', long);
  await started.look();
  assert.equal(await connect(port, 'www.shop.test'), serialOf(long), 'the one that lasts longer');
});

test('a valid wildcard takes precedence over an exact name that has expired', async (t) => {
  const long = await makeCertificate(root, 'long-wildcard', ['DNS:*.shop.test'], { days: 90 });
  const { tls: started } = await start(t, { e: exact, w: long });
  const late = { now: () => new Date(Date.now() + 40 * 86_400_000), monotonic: () => 0 };
  const terminator = new StaticTerminator(late);
  terminator.update(started.state());
  assert.equal(terminator.covers('www.shop.test'), true);
  assert.equal(terminator.contextFor('www.shop.test'), terminator.contextFor('any.shop.test'));
});

test('a corrected chain is used even if its certificate stays the same', async (t) => {
  const { tls: started, port, folder } = await start(t, { site: exact });
  const before = await openssl(port, '-servername', 'www.shop.test', '-showcerts');
  await writeFile(join(folder, 'site.crt'), exact.cert + other.cert);
  await started.look();
  const after = await openssl(port, '-servername', 'www.shop.test', '-showcerts');
  const sent = (output: string): number => output.split('-----BEGIN CERTIFICATE-----').length - 1;
  assert.deepEqual([sent(before), sent(after)], [1, 2]);
});

test('during a TLS-ALPN-01 challenge visitors get their own certificate, even if their hello arrives in parts', async (t) => {
  const { tls: started, port } = await start(t, { e: exact });
  const challenge = { chain: other.cert, privateKey: other.key };
  started.terminator.update({ challenges: { http: {}, alpn: { 'www.shop.test': challenge } } });
  const [own, challenged] = [serialOf(exact), serialOf(other)];
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    assert.equal(await connect(port, 'www.shop.test', { maxVersion }), own);
    assert.equal(await connect(port, 'www.shop.test', { maxVersion, ALPNProtocols: ['h2'] }), own);
    assert.equal(await connect(port, 'www.shop.test', { maxVersion, ALPNProtocols: ['acme-tls/1'] }), challenged);
  }
  assert.match(await connect(port, 'nobody.test', { ALPNProtocols: ['acme-tls/1'] }), /HANDSHAKE_FAILURE/);
  // A ClientHello in two segments, as over a slow path.
  for (const [protocol, expected] of [
    ['http/1.1', own],
    ['acme-tls/1', challenged],
  ] as const) {
    const halves = inHalves(connectTcp({ port, host: '127.0.0.1' }));
    assert.equal(await connect(port, 'www.shop.test', { socket: halves, ALPNProtocols: [protocol] }), expected);
    halves.destroy();
  }
  // Bytes that are not TLS are still refused.
  const plain = connectTcp({ port, host: '127.0.0.1' });
  plain.on('error', () => {}).write('GET / HTTP/1.1\r\n\r\n');
  plain.resume();
  await once(plain, 'close');
});

test('while a TLS-ALPN-01 challenge is open, a silent client and one that stops within its hello are closed', async (t) => {
  const { tls: started } = await start(t, { e: exact });
  const challenge = { chain: other.cert, privateKey: other.key };
  started.terminator.update({ challenges: { http: {}, alpn: { 'www.shop.test': challenge } } });
  const port = await listen(t, started.terminator, { ...DEFAULT_TIMEOUTS, handshakeMs: 300 });
  for (const begun of ['', '\x16\x03\x01\x02\x00\x01']) {
    const socket = connectTcp(port, '127.0.0.1').resume();
    t.after(() => socket.destroy());
    socket.write(begun, 'latin1');
    await once(socket, 'close', { signal: AbortSignal.timeout(60_000) });
  }
});

test('a broken file does not leak a key into the log', async (t) => {
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const folder = await mkdtemp(join(root, 'swapped-'));
  // The key in place of the certificate, as in a hurried copy.
  await writeFile(join(folder, 'a.crt'), await readFile(exact.keyFile));
  await writeFile(join(folder, 'a.key'), await readFile(exact.certFile));
  await copyFile(exact.certFile, join(folder, 'b.crt'));
  await writeFile(join(folder, 'b.key'), exact.key.slice(0, 120));
  const settings = { certificatesFolder: folder, stateDirectory: folder, acme: null };
  const started = await startTls(settings, { log, clock: systemClock });
  t.after(() => started.close());
  assert.equal(lines.filter((line) => line.includes('ORK_CERTIFICATE_UNUSABLE')).length, 2);
  const shown = lines.join('') + JSON.stringify(started.view());
  assert.doesNotMatch(shown, /PRIVATE KEY/);
  assert.ok(!shown.includes(exact.key.split('\n')[1]?.slice(0, 20) ?? ''));
});

/** A stream that sends each write in two segments. */
function inHalves(socket: Socket): Duplex {
  socket.setNoDelay(true);
  const stream = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _encoding, done) => {
      const half = Math.ceil(chunk.length / 2);
      socket.write(chunk.subarray(0, half));
      setTimeout(() => socket.write(chunk.subarray(half), done), 5);
    },
  });
  socket.on('data', (chunk) => stream.push(chunk)).on('error', () => stream.destroy());
  stream.on('close', () => socket.destroy()).on('error', () => socket.destroy());
  return stream;
}

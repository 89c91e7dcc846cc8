/** From issue to renewal against Debian's pebble, with a listener of ours that it looks at. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import { pino } from 'pino';
import { makeCertificate } from '../../../test/harness/certificates.ts';
import { startPebble } from '../../../test/harness/pebble.ts';
import type { Pebble } from '../../../test/harness/pebble.ts';
import { attachTls, secureServerOptions } from '../secure-server.ts';
import { startTls } from '../start.ts';
import type { Tls } from '../start.ts';
import type { TerminatorChange } from '../state.ts';
import { StaticTerminator } from '../static-terminator.ts';
import { resolveAddresses } from './open.ts';
import type { AcmeSettings } from './open.ts';

const DAY_MS = 86_400_000;
/** Nothing listens there. */
const DEAD = 'https://127.0.0.1:9/dir';

/** The listeners that pebble looks at, fed as a worker process is: by what comes over IPC. */
const clock = { offset: 0, now: () => new Date(Date.now() + clock.offset), monotonic: () => performance.now() };
const worker = new StaticTerminator(clock);
/** What the worker does with what comes over IPC. */
let receive: (change: TerminatorChange) => void;
const looked: string[] = [];
let pebble: Pebble;
let folder: string;
let http: Server;
let https: tls.Server;
/** Every line that was logged, at the finest level. */
let logged = '';
const log = pino({ level: 'trace' }, { write: (line: string) => void (logged += line) });

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orkestr-acme-'));
  http = createServer((request, response) => {
    const token = /^\/\.well-known\/acme-challenge\/(.+)$/.exec(request.url ?? '')?.[1];
    const answer = token === undefined ? null : worker.httpChallenge(token);
    looked.push(`http ${request.headers.host?.split(':')[0]} ${request.headers['user-agent'] ?? 'probe'}`);
    response.writeHead(answer === null ? 404 : 200).end(answer);
  }).listen(0, '127.0.0.1');
  https = tls.createServer(secureServerOptions(worker, { alpn: ['http/1.1'] }));
  attachTls(https, worker);
  https.on('secureConnection', (socket) => {
    socket.on('error', () => {});
    looked.push(`tls ${socket.alpnProtocol}`);
    socket.end('hello');
  });
  https.listen(0, '127.0.0.1');
  await Promise.all([once(http, 'listening'), once(https, 'listening')]);
  pebble = await startPebble({ folder, httpPort: portOf(http), tlsPort: portOf(https) });
});

after(async () => {
  await pebble?.stop();
  await Promise.all([http, https].map((server) => once(server.close(), 'close')));
  await rm(folder, { recursive: true, force: true });
});

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

interface Started {
  readonly tls: Tls;
  readonly state: string;
}

/** A primary process with its own state folder, or with the one that another left. */
async function start(t: TestContext, acme: Partial<AcmeSettings> = {}, state?: string): Promise<Started> {
  const stateDirectory = state ?? (await mkdtemp(join(folder, 'state-')));
  worker.update({ certificates: [], challenges: { http: {}, alpn: {} } });
  receive = (change) => worker.update(change);
  const started = await startTls(
    {
      stateDirectory,
      acme: {
        directories: [pebble.directory],
        caFile: pebble.caFile,
        httpPort: portOf(http),
        publicAddresses: ['127.0.0.1'],
        ...acme,
      },
    },
    {
      log,
      clock,
      resolve: (host) => resolveAddresses(host, [pebble.dnsServer]),
      random: () => 0.5,
      // As IPC does it: later, and by value.
      onChange: async (change) => {
        const sent = structuredClone(change);
        await new Promise(setImmediate);
        receive(sent);
      },
      lookMs: DAY_MS,
    },
  );
  t.after(() => started.close());
  t.after(() => {
    clock.offset = 0;
    looked.length = 0;
  });
  return { tls: started, state: stateDirectory };
}

/** All that is due is done. */
async function obtain({ tls }: Started, ...hosts: string[]): Promise<void> {
  tls.wanted(hosts);
  await tls.look();
}

const reasonOf = ({ tls }: Started, host: string) => tls.view().missing.find((one) => one.host === host);
const viewOf = ({ tls }: Started, host: string) => tls.view().certificates.find((one) => one.host === host);

/** The certificate that a visitor gets, checked up to pebble's root. */
async function visit(host: string): Promise<tls.DetailedPeerCertificate> {
  const socket = tls.connect({ port: portOf(https), host: '127.0.0.1', servername: host, ca: pebble.root });
  await once(socket, 'secureConnect');
  const certificate = socket.getPeerCertificate(true);
  socket.destroy();
  return certificate;
}

test('a host gets its certificate by HTTP-01, and visitors are served with it', async (t) => {
  await pebble.setAddresses('a.test', ['127.0.0.1']);
  const started = await start(t);
  await obtain(started, 'a.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.equal(viewOf(started, 'a.test')?.source, 'acme');
  assert.equal(started.tls.terminator.covers('a.test'), true);
  assert.equal((await visit('a.test')).subjectaltname, 'DNS:a.test');
  assert.ok(
    looked.some((line) => /^http a\.test .*LetsEncrypt/.test(line)),
    looked.join(),
  );
  assert.equal(worker.challenging, false, 'the challenge is closed');
  const [{ chain } = { chain: '' }] = started.tls.state().certificates;
  assert.equal(new X509Certificate(chain).subjectAltName, 'DNS:a.test');
  assert.equal(chain.split('BEGIN CERTIFICATE').length, 3, 'with the chain behind it');
});

test('a host gets its certificate by TLS-ALPN-01, also while another one is in use', async (t) => {
  await pebble.setAddresses('alpn.test', ['127.0.0.1']);
  const started = await start(t, { challengeTypes: ['tls-alpn-01'] });
  await obtain(started, 'alpn.test');
  const first = await visit('alpn.test');
  clock.offset = (Date.parse(first.valid_to) - Date.parse(first.valid_from)) * 0.7;
  await obtain(started, 'alpn.test');
  assert.notEqual((await visit('alpn.test')).serialNumber, first.serialNumber);
  assert.ok(!looked.includes('tls acme-tls/1'), 'such a connection comes to no app');
});

test('a certificate is kept over a restart and renewed when two thirds of its life are over, with another key', async (t) => {
  await pebble.setAddresses('renew.test', ['127.0.0.1']);
  const first = await start(t);
  await obtain(first, 'renew.test');
  const orders = pebble.orders;
  const old = await visit('renew.test');
  await first.tls.close();

  const second = await start(t, {}, first.state);
  assert.equal((await visit('renew.test')).serialNumber, old.serialNumber, 'served before anything is wanted');
  const lifetime = Date.parse(old.valid_to) - Date.parse(old.valid_from);
  clock.offset = lifetime * 0.6;
  await obtain(second, 'renew.test');
  assert.equal(pebble.orders, orders, 'not before its time');
  clock.offset = lifetime * 0.67;
  await second.tls.look();
  const renewed = await visit('renew.test');
  assert.equal(pebble.orders, orders + 1);
  assert.notEqual(renewed.serialNumber, old.serialNumber);
  assert.notDeepEqual(renewed.pubkey, old.pubkey);
  assert.ok(Date.parse(viewOf(second, 'renew.test')?.renewAt ?? '') > Date.parse(renewed.valid_from));
});

test('what is on disk is for its owner only, and no key is in the log', async (t) => {
  await pebble.setAddresses('secret.test', ['127.0.0.1']);
  const started = await start(t);
  await obtain(started, 'secret.test');
  const acme = join(started.state, 'acme');
  const entries = await readdir(acme, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const mode = (await stat(join(entry.parentPath, entry.name))).mode & 0o777;
    assert.equal(mode, entry.isDirectory() ? 0o700 : 0o600, entry.name);
  }
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  const keys = texts.join('\n').match(/-----BEGIN PRIVATE KEY-----\\?n?\s*[A-Za-z0-9+/]{40}/g) ?? [];
  assert.equal(keys.length, 2, 'the account and the certificate');
  assert.match(logged, /certificate issued/);
  assert.doesNotMatch(logged, /PRIVATE/);
  for (const key of keys) assert.ok(!logged.includes(key.slice(-40)));
});

test('files that cannot be read stop no start: they are told, and used once they can be read', async (t) => {
  await pebble.setAddresses('unread.test', ['127.0.0.1']);
  const state = await mkdtemp(join(folder, 'unread-'));
  const ledger = join(state, 'acme', 'ledger.json');
  await mkdir(ledger, { recursive: true });
  const started = await start(t, {}, state);
  await obtain(started, 'unread.test');
  assert.match(reasonOf(started, 'unread.test')?.reason ?? '', /^ORK_CERTIFICATE_UNUSABLE: .*EISDIR.* must belong to/);
  await rm(ledger, { recursive: true });
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

test('a CA that does not answer is passed over for the next one, and left alone for a while', async (t) => {
  await pebble.setAddresses('b.test', ['127.0.0.1']);
  await pebble.setAddresses('c.test', ['127.0.0.1']);
  const started = await start(t, { directories: [DEAD, pebble.directory] });
  logged = '';
  await obtain(started, 'b.test');
  await obtain(started, 'b.test', 'c.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.equal(logged.split('ORK_ACME_UNREACHABLE').length - 1, 1, 'asked once for both hosts');
});

test('without any CA a host waits, and its reason says so', async (t) => {
  await pebble.setAddresses('d.test', ['127.0.0.1']);
  const started = await start(t, { directories: [DEAD] });
  await obtain(started, 'd.test');
  const missing = reasonOf(started, 'd.test');
  assert.match(missing?.reason ?? '', /^ORK_ACME_UNREACHABLE: No answer of 127\.0\.0\.1:9: .*ECONNREFUSED/);
  assert.ok(Date.parse(missing?.retryAt ?? '') > Date.now());
});

test('no CA is asked for a name that does not point here; hosts beside it get theirs, and so does it once it does', async (t) => {
  await pebble.setAddresses('good.test', ['127.0.0.1']);
  // The second address is a loopback one where nobody listens.
  await pebble.setAddresses('elsewhere.test', ['127.0.0.1', '127.0.0.99']);
  const started = await start(t);
  const orders = pebble.orders;
  await obtain(started, 'elsewhere.test', 'nowhere.test', 'good.test');
  assert.equal(pebble.orders, orders + 1);
  assert.equal((await visit('good.test')).subjectaltname, 'DNS:good.test');
  assert.match(reasonOf(started, 'elsewhere.test')?.reason ?? '', /^ORK_ACME_DNS: .*127\.0\.0\.99 is not this host/);
  assert.match(reasonOf(started, 'nowhere.test')?.reason ?? '', /^ORK_ACME_DNS: /);

  await pebble.setAddresses('elsewhere.test', ['127.0.0.1']);
  await started.tls.look();
  assert.equal(pebble.orders, orders + 1, 'not at once');
  clock.offset = 120_000;
  await started.tls.look();
  assert.equal((await visit('elsewhere.test')).subjectaltname, 'DNS:elsewhere.test');
});

/** A moment that was so far away when it was chosen, which is less than two minutes ago. */
function assertMinutes(moment: string | null | undefined, minutes: number): void {
  const left = (Date.parse(moment ?? '') - clock.now().getTime()) / 60_000;
  assert.ok(left > minutes - 2 && left <= minutes, `${left} minutes are left`);
}

test('a host that waits is asked for at once when its owner says so', async (t) => {
  await pebble.setAddresses('retry.test', ['192.0.2.1']);
  const started = await start(t);
  await obtain(started, 'retry.test');
  await pebble.setAddresses('retry.test', ['127.0.0.1']);
  await started.tls.look();
  assert.match(reasonOf(started, 'retry.test')?.reason ?? '', /^ORK_ACME_DNS/);
  await assert.rejects(started.tls.retry('nobodys.test'), { code: 'ORK_NOT_FOUND' });
  assert.equal(await started.tls.retry('retry.test'), true);
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

test('a refused host backs off longer each time, over a restart too, and then tries the other challenge', async (t) => {
  await pebble.setAddresses('refused.test', ['127.0.0.1']);
  const started = await start(t);
  // Workers that answer nothing: the CA comes and finds no challenge.
  receive = () => {};
  const orders = pebble.orders;
  await obtain(started, 'refused.test');
  const first = reasonOf(started, 'refused.test');
  assert.match(first?.reason ?? '', /^ORK_ACME_CHALLENGE: 127\.0\.0\.1:\d+ refused it: unauthorized/);
  assertMinutes(first?.retryAt, 5);
  await started.tls.look();
  await started.tls.close();

  const again = await start(t, {}, started.state);
  receive = () => {};
  await obtain(again, 'refused.test');
  assert.equal(pebble.orders, orders + 1, 'a restart does not ask sooner');
  assert.deepEqual(reasonOf(again, 'refused.test'), first);
  clock.offset = 310_000;
  await again.tls.look();
  assert.equal(pebble.orders, orders + 2);
  const second = reasonOf(again, 'refused.test');
  assertMinutes(second?.retryAt, 10);

  receive = (change) => worker.update(change);
  clock.offset += 610_000;
  looked.length = 0;
  await again.tls.look();
  assert.deepEqual(again.tls.view().missing, []);
  assert.ok(
    looked.some((line) => line.startsWith('http refused.test')),
    'HTTP-01 at the third try',
  );
});

test('an order that the end of the process interrupts is written down, and made again later', async (t) => {
  await pebble.setAddresses('crash.test', ['127.0.0.1']);
  const started = await start(t);
  const opened = new Promise<void>((resolve) => {
    receive = (change) => {
      worker.update(change);
      if (Object.keys(change.challenges?.http ?? {}).length > 0) resolve();
    };
  });
  started.tls.wanted(['crash.test']);
  await opened;
  await started.tls.close();

  const again = await start(t, {}, started.state);
  const orders = pebble.orders;
  await obtain(again, 'crash.test');
  assert.equal(pebble.orders, orders);
  assert.match(reasonOf(again, 'crash.test')?.reason ?? '', /^ORK_INTERRUPTED/);
  clock.offset = 61_000;
  await again.tls.look();
  assert.deepEqual(again.tls.view().missing, []);
});

test('what the disk does not take: no order without the ledger, and an issued certificate is used and saved later', async (t) => {
  await pebble.setAddresses('disk.test', ['127.0.0.1']);
  const started = await start(t);
  const [ledger, certificates] = ['ledger.json.new', 'certificates'].map((name) => join(started.state, 'acme', name));
  // A folder where the file belongs, and a file where the folder belongs.
  await mkdir(ledger ?? '');
  const orders = pebble.orders;
  await obtain(started, 'disk.test');
  assert.equal(pebble.orders, orders);
  assert.match(reasonOf(started, 'disk.test')?.reason ?? '', /EISDIR/);
  await rm(ledger ?? '', { recursive: true });
  await rm(certificates ?? '', { recursive: true });
  await writeFile(certificates ?? '', '');
  clock.offset = 660_000;
  await started.tls.look();
  const { serialNumber } = await visit('disk.test');
  await rm(certificates ?? '');
  await mkdir(certificates ?? '');
  await started.tls.look();
  await started.tls.close();
  const again = await start(t, {}, started.state);
  assert.deepEqual(again.tls.view().missing, []);
  assert.equal((await visit('disk.test')).serialNumber, serialNumber);
});

test('wildcards are not asked for, and the reason names what to do', async (t) => {
  const started = await start(t);
  const orders = pebble.orders;
  await obtain(started, '*.wild.test');
  assert.equal(pebble.orders, orders);
  assert.match(reasonOf(started, '*.wild.test')?.reason ?? '', /^ORK_ACME_WILDCARD/);
});

test('names that never leave the machine are not asked for, and not missed', async (t) => {
  const started = await start(t);
  const orders = pebble.orders;
  await obtain(started, 'shop.localhost');
  assert.equal(pebble.orders, orders);
  assert.deepEqual(started.tls.view().missing, []);
});

test('an account that the CA does not know any more is made again with the same key', async (t) => {
  await pebble.setAddresses('account.test', ['127.0.0.1']);
  await pebble.setAddresses('account2.test', ['127.0.0.1']);
  const started = await start(t);
  await obtain(started, 'account.test');
  const [file] = await readdir(join(started.state, 'acme', 'accounts'));
  const path = join(started.state, 'acme', 'accounts', file ?? '');
  const account = JSON.parse(await readFile(path, 'utf8')) as { url: string; privateKey: string };
  await writeFile(path, JSON.stringify({ ...account, url: account.url.replace(/[^/]+$/, '9999') }));
  await obtain(started, 'account.test', 'account2.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.deepEqual(JSON.parse(await readFile(path, 'utf8')), account);
});

/** A CA that is pebble but for what `answer` gives: features and moods that pebble does not have. */
async function startFront(
  t: TestContext,
  directory: (own: string) => object,
  answer: (path: string, body: string) => { status: number; headers?: Readonly<Record<string, string>>; body: object },
): Promise<{ directory: string; caFile: string }> {
  const { cert, key } = await makeCertificate(folder, 'front', ['IP:127.0.0.1']);
  const caFile = join(folder, 'front-and-pebble.pem');
  await writeFile(caFile, cert + (await readFile(pebble.caFile, 'utf8')));
  const server = createSecureServer({ cert, key });
  const reply = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const sent = await text(request);
    const isDirectory = request.url === '/dir';
    const { status, headers, body } = isDirectory
      ? { status: 200, headers: {}, body: { ...pebbleDirectory, ...directory(own) } }
      : { headers: {}, ...answer(request.url ?? '', sent) };
    const contentType = status < 400 ? 'application/json' : 'application/problem+json';
    response.writeHead(status, { 'content-type': contentType, ...headers }).end(JSON.stringify(body));
  };
  server.on('request', (request, response) => void reply(request, response)).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const own = `https://127.0.0.1:${portOf(server)}`;
  const pebbleDirectory = await pebble.readDirectory();
  return { directory: `${own}/dir`, caFile };
}

/** What a CA may say when it does not take the name of the certificate that is replaced; the second: it is of an account that was lost. */
const NOT_REPLACED = [
  [409, 'alreadyReplaced'],
  [403, 'unauthorized'],
] as const;

test('a certificate is renewed in the window that the CA suggests (ARI), and the order names the one it replaces', async (t) => {
  await pebble.setAddresses('ari.test', ['127.0.0.1']);
  const asked: string[] = [];
  const orders: (string | undefined)[] = [];
  let refusal: (typeof NOT_REPLACED)[number] | null = null;
  const day = (days: number): string => new Date(Date.now() + days * DAY_MS).toISOString();
  const front = await startFront(
    t,
    (own) => ({ renewalInfo: `${own}/renewal`, ...(refusal && { newOrder: `${own}/order` }) }),
    (path, sent) => {
      if (path !== '/order') {
        asked.push(path);
        const body = { suggestedWindow: { start: day(10), end: day(11) } };
        return { status: 200, headers: { 'retry-after': '21600' }, body };
      }
      const { payload } = JSON.parse(sent) as { payload: string };
      const { replaces } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { replaces?: string };
      orders.push(replaces);
      const [status, type] = replaces && refusal ? refusal : ([500, 'serverInternal'] as const);
      return { status, body: { type: `urn:ietf:params:acme:error:${type}` } };
    },
  );
  const started = await start(t, { directories: [front.directory], caFile: front.caFile });
  await obtain(started, 'ari.test');
  const first = await visit('ari.test');
  const serial = first.serialNumber.toLowerCase();
  const [, id = ''] = /^\/renewal\/(.+)$/.exec(asked[0] ?? '') ?? [];
  const [authorityKeyId, serialPart] = id.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
  assert.equal(serialPart?.replace(/^00/, ''), serial);
  assert.equal(authorityKeyId?.length, 40);
  const renewAt = Date.parse(viewOf(started, 'ari.test')?.renewAt ?? '');
  assert.ok(renewAt >= Date.parse(day(9.9)) && renewAt <= Date.parse(day(11)), 'in the window');
  await started.tls.look();
  assert.equal(asked.length, 1, 'not asked again before Retry-After');
  clock.offset = 11.5 * DAY_MS;
  for (const one of NOT_REPLACED) {
    refusal = one;
    await started.tls.look();
    assert.deepEqual(orders.splice(0), [id, undefined], `with the name of the old one, and without it: ${one[1]}`);
    clock.offset += 600_000;
  }
  refusal = null;
  await started.tls.look();
  assert.notEqual((await visit('ari.test')).serialNumber, first.serialNumber);
});

test('the limit of a CA is kept to as long as it says, and another CA is asked meanwhile', async (t) => {
  await pebble.setAddresses('limit.test', ['127.0.0.1']);
  let orders = 0;
  const front = await startFront(
    t,
    (own) => ({ newOrder: `${own}/order` }),
    () => {
      orders += 1;
      const body = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates' };
      return { status: 429, headers: { 'retry-after': '172800' }, body };
    },
  );
  const alone = await start(t, { directories: [front.directory], caFile: front.caFile });
  await obtain(alone, 'limit.test');
  const missing = reasonOf(alone, 'limit.test');
  assert.match(missing?.reason ?? '', /^ORK_ACME_LIMIT: .*429 rateLimited: too many certificates/);
  assert.equal(Math.round((Date.parse(missing?.retryAt ?? '') - Date.now()) / DAY_MS), 2);
  clock.offset = 1.9 * DAY_MS;
  await alone.tls.look();
  assert.equal(orders, 1);
  clock.offset = 0;

  const both = await start(t, { directories: [front.directory, pebble.directory], caFile: front.caFile });
  await obtain(both, 'limit.test');
  assert.deepEqual(both.tls.view().missing, []);
});

test('a clock that was far ahead and is set right keeps no host waiting', async (t) => {
  await pebble.setAddresses('clock.test', []);
  const started = await start(t);
  clock.offset = 400 * DAY_MS;
  await obtain(started, 'clock.test');
  assert.match(reasonOf(started, 'clock.test')?.reason ?? '', /^ORK_ACME_DNS/);
  clock.offset = 0;
  await pebble.setAddresses('clock.test', ['127.0.0.1']);
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text as bodyOf } from 'node:stream/consumers';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { EnrolRequest } from '../../protocol/agent-link.ts';
import { OrkestrError, toProblem } from '../../protocol/errors.ts';
import { isSignedBy, makeKeyPair } from '../../protocol/signing.ts';
import { hostSigner } from './host-key.ts';
import { localIdentity, readIdentity, scopeOf } from './identity.ts';
import { joinHub } from './join.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { IDS } from '../deployment/test-job.ts';

const hubKey = makeKeyPair().publicKey;

/** A hub that enrols hosts; `answer` can replace its response. */
async function hubThat(
  t: TestContext,
  answer?: (request: EnrolRequest) => { status: number; body: unknown } | 'hang up',
) {
  const requests: EnrolRequest[] = [];
  const server = createServer((request, response) => {
    void bodyOf(request).then((text) => {
      const body = EnrolRequest.parse(JSON.parse(text));
      requests.push(body);
      const told = answer?.(body) ?? { status: 201, body: { hostId: IDS.host, hubPublicKey: hubKey } };
      if (told === 'hang up') request.socket.destroy();
      else response.writeHead(told.status).end(JSON.stringify(told.body));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const enrolment = (hubUrl: string) => ({ hubUrl, joinToken: 'once', name: 'vps-1', now: 0 });
const isCode = (code: string) => (error: unknown) => error instanceof OrkestrError && error.code === code;

test('joining generates a key on the host, sends only the public key, and pins the key of the hub', async (t) => {
  const folder = temporaryFolder(t);
  const { url, requests } = await hubThat(t);
  const { identity, joined } = await joinHub(folder, enrolment(url));
  assert.equal(joined, true);
  assert.deepEqual(identity.hub, { url, publicKey: hubKey });
  assert.deepEqual(readIdentity(folder), identity);
  assert.ok(isSignedBy('text', hostSigner(folder)('text'), requests[0]?.publicKey ?? ''));
  assert.ok(!JSON.stringify(requests).includes('PRIVATE'));
  assert.equal(statSync(join(folder, 'host-key.pem')).mode & 0o777, 0o600);
  assert.match(readFileSync(join(folder, 'host-key.pem'), 'utf8'), /PRIVATE KEY/);
});

test('joining again succeeds without a request to the hub', async (t) => {
  const folder = temporaryFolder(t);
  const { url, requests } = await hubThat(t);
  await joinHub(folder, enrolment(url));
  const { joined, identity } = await joinHub(folder, enrolment(url));
  assert.equal(joined, false);
  assert.equal(identity.hostId, IDS.host);
  assert.equal(requests.length, 1);
});

test('a retry after a lost answer sends the same key, so the hub can give the same answer', async (t) => {
  const folder = temporaryFolder(t);
  let calls = 0;
  const { url, requests } = await hubThat(t, () => {
    calls += 1;
    return calls === 1 ? 'hang up' : { status: 201, body: { hostId: IDS.host, hubPublicKey: hubKey } };
  });
  await assert.rejects(joinHub(folder, enrolment(url)), isCode('ORK_HUB_UNREACHABLE'));
  assert.equal(readIdentity(folder), null);
  await joinHub(folder, enrolment(url));
  assert.equal(requests[0]?.publicKey, requests[1]?.publicKey);
});

test("the hub's refusal of a token is reported with its code, and nothing is stored", async (t) => {
  const folder = temporaryFolder(t);
  const { url } = await hubThat(t, () => ({
    status: 401,
    body: toProblem({ code: 'ORK_JOIN_TOKEN', message: 'used', evidence: [] }),
  }));
  await assert.rejects(joinHub(folder, enrolment(url)), isCode('ORK_JOIN_TOKEN'));
  assert.equal(readIdentity(folder), null);
});

test('joining fails at a server that is not a hub and at a hub with a key of another kind', async (t) => {
  const web = await hubThat(t, () => ({ status: 200, body: { hello: 'world' } }));
  await assert.rejects(joinHub(temporaryFolder(t), enrolment(web.url)), isCode('ORK_PROTOCOL'));
  const odd = await hubThat(t, () => ({ status: 201, body: { hostId: IDS.host, hubPublicKey: 'no key' } }));
  await assert.rejects(joinHub(temporaryFolder(t), enrolment(odd.url)), isCode('ORK_PROTOCOL'));
  await assert.rejects(joinHub(temporaryFolder(t), enrolment('http://127.0.0.1:1')), isCode('ORK_HUB_UNREACHABLE'));
});

test('joining refuses a folder that belongs to another hub or to a host without a hub', async (t) => {
  const folder = temporaryFolder(t);
  const { url } = await hubThat(t);
  await joinHub(folder, enrolment(url));
  await assert.rejects(joinHub(folder, enrolment('https://other.example.com')), isCode('ORK_CONFLICT'));
  const local = temporaryFolder(t);
  localIdentity(local, 0);
  await assert.rejects(joinHub(local, enrolment(url)), isCode('ORK_CONFLICT'));
});

test('joining replaces a damaged identity under the same key and keeps the old file; a failed join changes nothing', async (t) => {
  const folder = temporaryFolder(t);
  const { url, requests } = await hubThat(t);
  const file = join(folder, 'identity.json');
  await joinHub(folder, enrolment(url));
  const cut = readFileSync(file, 'utf8').slice(0, 40);
  writeFileSync(file, cut);
  assert.throws(() => readIdentity(folder), isCode('ORK_IDENTITY_UNREADABLE'));
  await assert.rejects(joinHub(folder, enrolment('http://127.0.0.1:1')), isCode('ORK_HUB_UNREACHABLE'));
  assert.equal(readFileSync(file, 'utf8'), cut);
  assert.ok(!existsSync(`${file}.damaged`));

  const { joined, keptAside } = await joinHub(folder, enrolment(url));
  assert.deepEqual([joined, keptAside], [true, `${file}.damaged`]);
  assert.equal(readIdentity(folder)?.hostId, IDS.host);
  assert.equal(readFileSync(`${file}.damaged`, 'utf8'), cut);
  assert.equal(requests[0]?.publicKey, requests[1]?.publicKey);
});

test('a host with a lost or damaged key joins again with a new key, which is stored once the hub accepts it', async (t) => {
  const folder = temporaryFolder(t);
  let [answers, hangs] = [true, false];
  const { url, requests } = await hubThat(t, () => {
    if (hangs) return 'hang up';
    const known = { status: 201, body: { hostId: IDS.host, hubPublicKey: hubKey } };
    return answers
      ? known
      : { status: 403, body: toProblem({ code: 'ORK_JOIN_TOKEN', message: 'used', evidence: [] }) };
  });
  await joinHub(folder, enrolment(url));
  const file = join(folder, 'host-key.pem');
  const cut = readFileSync(file, 'utf8').slice(0, 60);
  writeFileSync(file, cut);
  assert.throws(() => hostSigner(folder), isCode('ORK_CONFIG'));

  answers = false;
  await assert.rejects(joinHub(folder, enrolment(url)), isCode('ORK_JOIN_TOKEN'));
  assert.equal(readFileSync(file, 'utf8'), cut, 'a refused one changes nothing');
  hangs = true;
  await assert.rejects(joinHub(folder, enrolment(url)), isCode('ORK_HUB_UNREACHABLE'));
  [answers, hangs] = [true, false];
  const { joined, identity } = await joinHub(folder, enrolment(url));
  assert.deepEqual([joined, identity.hostId], [true, IDS.host]);
  const [first, ...later] = requests.map(({ publicKey }) => publicKey);
  assert.deepEqual([new Set(later).size, later.length, later.includes(first ?? '')], [1, 3, false]);
  assert.ok(isSignedBy('text', hostSigner(folder)('text'), later[0] ?? ''));
  assert.deepEqual(readdirSync(folder).toSorted(), ['host-key.pem', 'identity.json']);
  assert.equal((await joinHub(folder, enrolment(url))).joined, false);
});

test('a local identity is created only once', (t) => {
  const folder = temporaryFolder(t);
  assert.equal(localIdentity(folder, 0).hostId, localIdentity(folder, 1).hostId);
});

test('the scope is the first 8 hex digits of SHA-256 of the host id', () => {
  // printf %s 018f0000-0000-7000-8000-00000000000a | sha256sum
  assert.equal(scopeOf('018f0000-0000-7000-8000-00000000000a'), SCOPE);
});

const SCOPE = '6d78fe53';

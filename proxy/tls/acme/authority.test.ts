/** How hosts fare when a CA misbehaves: the test controls the CA, whose certificates are real. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import type { Client, Order } from 'acme-client';
import { makeLogger } from '../../../protocol/service/logger.ts';
import { makeCertificate } from '../../../test/harness/certificates.ts';
import type { Accounts } from './accounts.ts';
import { Authority } from './authority.ts';
import { Challenges } from './challenges.ts';
import { Ledger } from './ledger.ts';
import { AcmeProblem } from './problem.ts';
import { CertificateStore } from './store.ts';
import type { Transport } from './transport.ts';

const DIRECTORY = 'https://ca.test/dir';
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const log = makeLogger('proxy', 'silent');

/** A CA that never requires a proof. The URL of an order is the name of its host. */
class Ca {
  /** Hosts of the orders placed, in order. */
  readonly asked: string[] = [];
  /** Why the CA refuses an order for a host, or null. */
  refusal: (host: string) => AcmeProblem | null = () => null;
  /** The status of a finalized order; null: the order is gone. */
  decision: 'processing' | 'valid' | null = 'valid';
  readonly #folder: string;
  readonly #chains = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  get client(): Client {
    const client: Partial<Client> = {
      createOrder: async ({ identifiers: [{ value: host } = { value: '' }] }) => {
        this.asked.push(host);
        const refusal = this.refusal(host);
        if (refusal !== null) throw refusal;
        this.#chains.delete(host);
        return { url: host } as Order;
      },
      getAuthorizations: () => Promise.resolve([]),
      getOrder: async ({ url }) => {
        if (this.decision === null) throw new AcmeProblem('ORK_ACME_REFUSED', 'ca.test answered 404');
        return { url, status: this.#chains.has(url) ? this.decision : 'ready' } as Order;
      },
      finalizeOrder: async (order, csr) => {
        this.#chains.set(order.url, await this.#sign(csr));
        return order;
      },
      getCertificate: ({ url }) => Promise.resolve(this.#chains.get(url) ?? ''),
    };
    return client as Client;
  }

  async #sign(csr: Buffer | string): Promise<string> {
    const request = join(this.#folder, 'csr');
    await writeFile(request, csr);
    const signing = ['-CA', join(this.#folder, 'ca.crt'), '-CAkey', join(this.#folder, 'ca.key'), '-days', '30'];
    const args = ['x509', '-req', '-in', request, ...signing, '-copy_extensions', 'copy'];
    const { stdout } = await promisify(execFile)('openssl', args);
    return stdout;
  }
}

interface Lab {
  readonly ca: Ca;
  readonly ledger: Ledger;
  readonly authority: Authority;
  /** Called for each renewal request; by default the CA does not offer them. */
  onQuestion: () => void;
  /** Added to the clock, ms. */
  later: number;
  /** Hosts that have a certificate. */
  hosts(): string[];
}

async function open(t: TestContext): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), 'orkestr-authority-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await makeCertificate(folder, 'ca', ['DNS:ca.test']);
  const ca = new Ca(folder);
  const ledger = await Ledger.open(join(folder, 'ledger.json'), log);
  const started = Date.now();
  const authority = await Authority.open({
    directories: [DIRECTORY],
    challengeTypes: ['http-01'],
    log,
    clock: { now: () => new Date(started + lab.later), monotonic: () => 0 },
    random: () => 0.5,
    accounts: { use: (_, work) => work(ca.client) } as Pick<Accounts, 'use'> as Accounts,
    challenges: new Challenges(() => undefined),
    ledger,
    store: new CertificateStore(join(folder, 'certificates'), log),
    transport: { request: async () => (lab.onQuestion(), { data: {} }) } as unknown as Transport,
    checkPointing: () => Promise.resolve(),
    sleep: () => Promise.resolve(),
    changed: () => undefined,
  });
  const hosts = (): string[] => authority.certificates.flatMap((one) => one.hosts);
  const lab: Lab = { ca, ledger, authority, onQuestion: () => undefined, later: 0, hosts };
  return lab;
}

const limit = (): AcmeProblem => new AcmeProblem('ORK_ACME_LIMIT', 'too many new orders', { retryAfterMs: 2 * DAY_MS });

test('after rate limits for two hosts the CA gets no orders for an hour, and then one at a time', async (t) => {
  const lab = await open(t);
  const { ca, ledger, authority } = lab;
  ca.refusal = limit;
  await authority.want(['a.test', 'b.test', 'c.test', 'd.test']);
  assert.deepEqual(ca.asked, ['a.test', 'b.test']);
  const passed = ledger.failureOf('d.test');
  assert.match(passed?.message ?? '', /left alone/);
  assert.ok(Date.parse(passed?.retryAt ?? '') <= Date.now() + 61 * MINUTE_MS, 'the limit of others is not its own');
  lab.later = 61 * MINUTE_MS;
  await authority.work();
  assert.deepEqual(ca.asked, ['a.test', 'b.test', 'c.test']);
  ca.refusal = () => null;
  lab.later = 125 * MINUTE_MS;
  await authority.work();
  assert.deepEqual(lab.hosts(), ['d.test']);
  lab.later = 3 * DAY_MS;
  await authority.work();
  assert.deepEqual(lab.hosts().toSorted(), ['a.test', 'b.test', 'c.test', 'd.test']);
});

test('a requested retry of a host is done at once, even while its CA is paused', async (t) => {
  const lab = await open(t);
  const { ca, authority } = lab;
  ca.refusal = limit;
  await authority.want(['a.test', 'b.test', 'c.test']);
  ca.refusal = () => null;
  assert.equal(await authority.retry('c.test'), true);
  await authority.work();
  assert.deepEqual([ca.asked, lab.hosts()], [['a.test', 'b.test', 'c.test'], ['c.test']]);
  assert.equal(await authority.retry('c.test'), false, 'it waits no more');
});

test('a rate limit of a single host does not delay others', async (t) => {
  const lab = await open(t);
  const { ca, authority } = lab;
  ca.refusal = (host) => (host < 'c' ? limit() : null);
  await authority.want(['a.test', 'c.test']);
  await authority.want(['a.test', 'b.test', 'c.test', 'd.test']);
  assert.deepEqual(lab.hosts().toSorted(), ['c.test', 'd.test']);
});

test('an order that the CA does not decide in time is resumed, without a new order', async (t) => {
  const lab = await open(t);
  const { ca, ledger, authority } = lab;
  ca.decision = 'processing';
  await authority.want(['slow.test']);
  assert.match(ledger.failureOf('slow.test')?.message ?? '', /did not decide in time/);
  lab.later = 10 * MINUTE_MS;
  await authority.work();
  ca.decision = 'valid';
  lab.later = 40 * MINUTE_MS;
  await authority.work();
  assert.deepEqual([ca.asked, lab.hosts()], [['slow.test'], ['slow.test']]);
  assert.equal(ledger.failureOf('slow.test'), null);
});

test('an order that the CA has forgotten is replaced by a new one', async (t) => {
  const lab = await open(t);
  const { ca, authority } = lab;
  ca.decision = 'processing';
  await authority.want(['gone.test']);
  ca.decision = null;
  lab.later = 10 * MINUTE_MS;
  await authority.work();
  ca.decision = 'valid';
  lab.later = DAY_MS;
  await authority.work();
  assert.deepEqual([ca.asked, lab.hosts()], [['gone.test', 'gone.test'], ['gone.test']]);
});

test('a CA that does not answer renewal requests is not asked for every host, and does not delay waiting hosts', async (t) => {
  const lab = await open(t);
  const { ca, authority } = lab;
  const had = ['a.test', 'b.test', 'c.test', 'd.test'];
  await authority.want(had);
  let questions = 0;
  const told: Promise<void>[] = [];
  lab.onQuestion = () => {
    questions += 1;
    lab.later += 30_000;
    throw new AcmeProblem('ORK_ACME_UNREACHABLE', 'No answer of ca.test: timeout.');
  };
  lab.later = 2 * DAY_MS;
  await authority.work();
  await authority.work();
  assert.equal(questions, 1, 'not once for each host');

  lab.later += 10 * MINUTE_MS;
  lab.onQuestion = () => {
    questions += 1;
    if (told.length === 0) told.push(authority.want([...had, 'new.test']));
    if (!ca.asked.includes('new.test')) lab.later += MINUTE_MS;
  };
  const before = lab.later;
  await authority.work();
  await Promise.all(told);
  assert.equal(lab.later - before, MINUTE_MS, 'one question was under way when it came');
  assert.equal(questions, 6, 'the others were asked afterwards, and so was it');
});

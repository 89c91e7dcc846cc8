/** Certificates that cannot be issued now: the reported reason, when to try again, and what still works meanwhile. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AcmeLab, DAY_MS, obtain, reasonOf } from '../../../test/harness/acme-lab.ts';

/** Nothing listens on this port. */
const DEAD = 'https://127.0.0.1:9/dir';

let lab: AcmeLab;
before(async () => {
  lab = await AcmeLab.start();
});
after(() => lab?.close());

test('unreadable files do not prevent the start: they are reported, and used once they are readable', async (t) => {
  await lab.pebble.setAddresses('unread.test', ['127.0.0.1']);
  const state = await mkdtemp(join(lab.folder, 'unread-'));
  const ledger = join(state, 'acme', 'ledger.json');
  await mkdir(ledger, { recursive: true });
  const started = await lab.start(t, {}, state);
  await obtain(started, 'unread.test');
  assert.match(reasonOf(started, 'unread.test')?.reason ?? '', /^ORK_CERTIFICATE_UNUSABLE: .*EISDIR.* must belong to/);
  await rm(ledger, { recursive: true });
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

test('a CA that does not answer is skipped in favour of the next one, and paused for a while', async (t) => {
  await lab.pebble.setAddresses('b.test', ['127.0.0.1']);
  await lab.pebble.setAddresses('c.test', ['127.0.0.1']);
  const started = await lab.start(t, { directories: [DEAD, lab.pebble.directory] });
  lab.logged = '';
  await obtain(started, 'b.test');
  await obtain(started, 'b.test', 'c.test');
  assert.deepEqual(started.tls.view().missing, []);
  assert.equal(lab.logged.split('ORK_ACME_UNREACHABLE').length - 1, 1, 'asked once for both hosts');
});

test('without a reachable CA a host waits, and its reason says so', async (t) => {
  await lab.pebble.setAddresses('d.test', ['127.0.0.1']);
  const started = await lab.start(t, { directories: [DEAD] });
  await obtain(started, 'd.test');
  const missing = reasonOf(started, 'd.test');
  assert.match(missing?.reason ?? '', /^ORK_ACME_UNREACHABLE: No answer of 127\.0\.0\.1:9: .*ECONNREFUSED/);
  assert.ok(Date.parse(missing?.retryAt ?? '') > Date.now());
});

test('a name that does not point here is not ordered until it does; other hosts get their certificates', async (t) => {
  await lab.pebble.setAddresses('good.test', ['127.0.0.1']);
  // The second address is a loopback one where nobody listens.
  await lab.pebble.setAddresses('elsewhere.test', ['127.0.0.1', '127.0.0.99']);
  const started = await lab.start(t);
  const orders = lab.pebble.orders;
  await obtain(started, 'elsewhere.test', 'nowhere.test', 'good.test');
  assert.equal(lab.pebble.orders, orders + 1);
  assert.equal((await lab.visit('good.test')).subjectaltname, 'DNS:good.test');
  assert.match(reasonOf(started, 'elsewhere.test')?.reason ?? '', /^ORK_ACME_DNS: .*127\.0\.0\.99 is not this host/);
  assert.match(reasonOf(started, 'nowhere.test')?.reason ?? '', /^ORK_ACME_DNS: /);

  await lab.pebble.setAddresses('elsewhere.test', ['127.0.0.1']);
  await started.tls.look();
  assert.equal(lab.pebble.orders, orders + 1, 'not at once');
  lab.clock.offset = 120_000;
  await started.tls.look();
  assert.equal((await lab.visit('elsewhere.test')).subjectaltname, 'DNS:elsewhere.test');
});

/** Asserts that a moment, chosen less than two minutes ago, was this many minutes ahead then. */
function assertMinutes(moment: string | null | undefined, minutes: number): void {
  const left = (Date.parse(moment ?? '') - lab.clock.now().getTime()) / 60_000;
  assert.ok(left > minutes - 2 && left <= minutes, `${left} minutes are left`);
}

test('a refused host backs off longer each time, even over a restart, and then tries the other challenge type', async (t) => {
  await lab.pebble.setAddresses('refused.test', ['127.0.0.1']);
  const started = await lab.start(t);
  // Workers that answer nothing, so that the CA finds no challenge.
  lab.receive = () => {};
  const orders = lab.pebble.orders;
  await obtain(started, 'refused.test');
  const first = reasonOf(started, 'refused.test');
  assert.match(first?.reason ?? '', /^ORK_ACME_CHALLENGE: 127\.0\.0\.1:\d+ refused it: unauthorized/);
  assertMinutes(first?.retryAt, 5);
  await started.tls.look();
  await started.tls.close();

  const again = await lab.start(t, {}, started.state);
  lab.receive = () => {};
  await obtain(again, 'refused.test');
  assert.equal(lab.pebble.orders, orders + 1, 'a restart does not ask sooner');
  assert.deepEqual(reasonOf(again, 'refused.test'), first);
  lab.clock.offset = 310_000;
  await again.tls.look();
  assert.equal(lab.pebble.orders, orders + 2);
  const second = reasonOf(again, 'refused.test');
  assertMinutes(second?.retryAt, 10);

  lab.receive = (change) => lab.worker.update(change);
  lab.clock.offset += 610_000;
  lab.looked.length = 0;
  await again.tls.look();
  assert.deepEqual(again.tls.view().missing, []);
  assert.ok(
    lab.looked.some((line) => line.startsWith('http refused.test')),
    'HTTP-01 at the third try',
  );
});

test('an order that is interrupted by the end of the process is recorded and repeated later', async (t) => {
  await lab.pebble.setAddresses('crash.test', ['127.0.0.1']);
  const started = await lab.start(t);
  const opened = new Promise<void>((resolve) => {
    lab.receive = (change) => {
      lab.worker.update(change);
      if (Object.keys(change.challenges?.http ?? {}).length > 0) resolve();
    };
  });
  started.tls.wanted(['crash.test']);
  await opened;
  await started.tls.close();

  const again = await lab.start(t, {}, started.state);
  const orders = lab.pebble.orders;
  await obtain(again, 'crash.test');
  assert.equal(lab.pebble.orders, orders);
  assert.match(reasonOf(again, 'crash.test')?.reason ?? '', /^ORK_INTERRUPTED/);
  lab.clock.offset = 61_000;
  await again.tls.look();
  assert.deepEqual(again.tls.view().missing, []);
});

test('without a writable ledger there is no order; a certificate that cannot be saved is used and saved later', async (t) => {
  await lab.pebble.setAddresses('disk.test', ['127.0.0.1']);
  const started = await lab.start(t);
  const [ledger, certificates] = ['ledger.json.new', 'certificates'].map((name) => join(started.state, 'acme', name));
  // A folder in place of the file, and below a file in place of the folder.
  await mkdir(ledger ?? '');
  const orders = lab.pebble.orders;
  await obtain(started, 'disk.test');
  assert.equal(lab.pebble.orders, orders);
  assert.match(reasonOf(started, 'disk.test')?.reason ?? '', /EISDIR/);
  await rm(ledger ?? '', { recursive: true });
  await rm(certificates ?? '', { recursive: true });
  await writeFile(certificates ?? '', '');
  lab.clock.offset = 660_000;
  await started.tls.look();
  const { serialNumber } = await lab.visit('disk.test');
  await rm(certificates ?? '');
  await mkdir(certificates ?? '');
  await started.tls.look();
  await started.tls.close();
  const again = await lab.start(t, {}, started.state);
  assert.deepEqual(again.tls.view().missing, []);
  assert.equal((await lab.visit('disk.test')).serialNumber, serialNumber);
});

test('wildcards are not ordered, and the reason says what to do', async (t) => {
  const started = await lab.start(t);
  const orders = lab.pebble.orders;
  await obtain(started, '*.wild.test');
  assert.equal(lab.pebble.orders, orders);
  assert.match(reasonOf(started, '*.wild.test')?.reason ?? '', /^ORK_ACME_WILDCARD/);
});

test('names that never leave the machine are not ordered, and not listed as missing', async (t) => {
  const started = await lab.start(t);
  const orders = lab.pebble.orders;
  await obtain(started, 'shop.localhost');
  assert.equal(lab.pebble.orders, orders);
  assert.deepEqual(started.tls.view().missing, []);
});

test('an IP address is not ordered, and does not count as failed', async (t) => {
  const started = await lab.start(t);
  const orders = lab.pebble.orders;
  await obtain(started, '192.0.2.7');
  assert.equal(lab.pebble.orders, orders);
  assert.match(reasonOf(started, '192.0.2.7')?.reason ?? '', /^ORK_CERTIFICATE_NONE: no CA is asked for an address/);
});

test('the rate limit of a CA is respected as long as it says, and another CA is used meanwhile', async (t) => {
  await lab.pebble.setAddresses('limit.test', ['127.0.0.1']);
  let orders = 0;
  const front = await lab.startFront(
    t,
    (own) => ({ newOrder: `${own}/order` }),
    () => {
      orders += 1;
      const body = { type: 'urn:ietf:params:acme:error:rateLimited', detail: 'too many certificates' };
      return { status: 429, headers: { 'retry-after': '172800' }, body };
    },
  );
  const alone = await lab.start(t, { directories: [front.directory], caFile: front.caFile });
  await obtain(alone, 'limit.test');
  const missing = reasonOf(alone, 'limit.test');
  assert.match(missing?.reason ?? '', /^ORK_ACME_LIMIT: .*429 rateLimited: too many certificates/);
  assert.equal(Math.round((Date.parse(missing?.retryAt ?? '') - Date.now()) / DAY_MS), 2);
  lab.clock.offset = 1.9 * DAY_MS;
  await alone.tls.look();
  assert.equal(orders, 1);
  lab.clock.offset = 0;

  const both = await lab.start(t, { directories: [front.directory, lab.pebble.directory], caFile: front.caFile });
  await obtain(both, 'limit.test');
  assert.deepEqual(both.tls.view().missing, []);
});

test('after a clock that was far ahead is corrected, hosts do not have to wait', async (t) => {
  await lab.pebble.setAddresses('clock.test', []);
  const started = await lab.start(t);
  lab.clock.offset = 400 * DAY_MS;
  await obtain(started, 'clock.test');
  assert.match(reasonOf(started, 'clock.test')?.reason ?? '', /^ORK_ACME_DNS/);
  lab.clock.offset = 0;
  await lab.pebble.setAddresses('clock.test', ['127.0.0.1']);
  await started.tls.look();
  assert.deepEqual(started.tls.view().missing, []);
});

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeCertificate } from '../../../test/harness/certificates.ts';
import { readConfig } from '../../config.ts';
import { RECEIVER_KINDS, type ReceiverKind } from '../../model/notice.ts';
import type { Message } from '../notice.ts';
import { post } from '../../outbound/post.ts';
import { startMailServer, startReceiver } from '../test-receiver.ts';
import { KINDS } from './index.ts';
import type { SendContext } from './kind.ts';
import { makeWebhookSecret } from './webhook.ts';

const NOTICE: Message['notices'][number] = {
  kind: 'deployment.failed',
  at: '2030-01-01T00:00:00.000Z',
  summary: 'shop/production: the deployment failed at build',
  project: { id: 'p', slug: 'shop' },
  environment: { id: 'e', slug: 'production' },
  deployment: { id: 'd', commit: 'a'.repeat(40), branch: 'main', trigger: 'push', step: 'build' },
  host: null,
  error: {
    code: 'ORK_BUILD_FAILED',
    message: 'The command "npm <run> build & co" for @everyone [here](x) ended with exit code 1.',
    mend: 'See its output at the end of the build log.',
    retry: false,
  },
  url: 'https://hub.example.com/deployments/d',
};
const MESSAGE: Message = { id: '01890000-0000-7000-8000-000000000001', notices: [NOTICE], leftOut: 0 };

const SENT_AT = new Date('2030-01-01T00:00:30.900Z');

/** Permits sending to this machine; mail is configured by `env`. */
function sendContext(env: Readonly<Record<string, string>> = {}, ca?: string): SendContext {
  const config = readConfig({ ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1', ...env });
  const signal = AbortSignal.timeout(10_000);
  return {
    mail: config.mail,
    hubUrl: 'https://hub.example.com',
    now: SENT_AT,
    signal,
    ca,
    post: (what) => post(config.notify, what, signal),
  };
}

async function sent(t: TestContext, kind: ReceiverKind, message: Message, secret: string | null = null) {
  const receiver = await startReceiver(t);
  await KINDS[kind].send(message, { address: receiver.url, secret }, sendContext());
  const [got] = receiver.got;
  assert.ok(got);
  assert.equal(got.headers['content-type'], 'application/json');
  return { ...got, json: JSON.parse(got.body) as Record<string, unknown> };
}

test('a webhook gets versioned JSON, signed with time and id as Standard Webhooks define', async (t) => {
  const secret = makeWebhookSecret();
  const { headers, body, json } = await sent(t, 'webhook', MESSAGE, secret);
  assert.deepEqual(json, { version: 1, ...MESSAGE });
  assert.equal(headers['webhook-id'], MESSAGE.id);
  assert.equal(headers['webhook-timestamp'], '1893456030');
  const [prefix, key = ''] = secret.split('_');
  assert.equal(prefix, 'whsec');
  const expected = createHmac('sha256', Buffer.from(key, 'base64'))
    .update(`${MESSAGE.id}.1893456030.${body}`)
    .digest('base64');
  assert.equal(headers['webhook-signature'], `v1,${expected}`);
});

test('the signature check in the docs accepts sent messages, and rejects changed and old ones', async (t) => {
  const page = readFileSync(new URL('../../../docs/notifications.md', import.meta.url), 'utf8');
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-docs-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'check.mjs'), /```js\n([^]*?)```/.exec(page)?.[1] ?? '');
  const { isFromOrkestr } = (await import(join(folder, 'check.mjs'))) as {
    isFromOrkestr: (headers: object, body: string, secret: string) => boolean;
  };
  t.mock.timers.enable({ apis: ['Date'], now: SENT_AT });
  const secret = makeWebhookSecret();
  const { headers, body, json } = await sent(t, 'webhook', MESSAGE, secret);
  assert.equal(isFromOrkestr(headers, body, secret), true);
  assert.equal(isFromOrkestr(headers, `${body} `, secret), false);
  assert.equal(isFromOrkestr(headers, body, makeWebhookSecret()), false);
  t.mock.timers.setTime(SENT_AT.getTime() + 400_000);
  assert.equal(isFromOrkestr(headers, body, secret), false, 'what is old may have been sent by somebody else');

  const shown = JSON.parse(/```json\n([^]*?)```/.exec(page)?.[1] ?? '') as Record<string, unknown>;
  const fields = ({ notices, ...message }: Record<string, unknown>): string[] =>
    [message, (notices as object[])[0] ?? {}].flatMap((part) => Object.keys(part).toSorted());
  assert.deepEqual(fields(shown), fields(json));
});

test('Slack gets text in which an error contains no markup and mentions nobody', async (t) => {
  const { json } = await sent(t, 'slack', MESSAGE);
  assert.deepEqual(String(json['text']).split('\n'), [
    'shop/production: the deployment failed at build',
    'ORK_BUILD_FAILED: The command "npm &lt;run&gt; build &amp; co" for @\u200beveryone [here](x) ended with exit code 1.',
    'What to do: See its output at the end of the build log.',
    'Commit aaaaaaaaaa of main',
    'https://hub.example.com/deployments/d',
  ]);
});

test('Discord gets content within its limit that mentions nobody, with a count of omitted notices', async (t) => {
  const { json } = await sent(t, 'discord', {
    ...MESSAGE,
    notices: Array.from({ length: 40 }, () => NOTICE),
    leftOut: 3,
  });
  const content = String(json['content']);
  assert.ok(content.length <= 2000 && content.length > 1500, String(content.length));
  const shown = content.split('shop/production').length - 1;
  assert.match(content, new RegExp(`and ${43 - shown} more: the console has them all`));
  assert.match(content, /@everyone \\\[here\]\(x\) ended/, 'no link that somebody else wrote');
  assert.deepEqual(json['allowed_mentions'], { parse: [] });
});

const MAIL = (port: number) => ({
  ORKESTR_HUB_SMTP_URL: `smtp://localhost:${port}`,
  ORKESTR_HUB_SMTP_FROM: 'orkestr <hub@example.com>',
});
const mail = (env: Readonly<Record<string, string>>, ca?: string, address = 'ops@example.com'): Promise<void> =>
  KINDS.email.send(MESSAGE, { address, secret: null }, sendContext(env, ca));

async function keys(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-mail-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return makeCertificate(folder, 'mail', ['DNS:localhost']);
}

test('mail is sent over STARTTLS with a login, and has subject, text and a stable message id', async (t) => {
  const { cert, key } = await keys(t);
  const server = await startMailServer(t, { cert, key });
  const login = { ORKESTR_HUB_SMTP_USER: 'hub', ORKESTR_HUB_SMTP_PASSWORD: 'right' };
  await mail({ ...MAIL(server.port), ...login }, cert);
  assert.deepEqual(server.logins, ['hub by TLS']);
  const [got = ''] = server.got;
  assert.match(got, /^From: orkestr <hub@example\.com>\r$/m);
  assert.match(got, /^To: ops@example\.com\r$/m);
  assert.match(got, /^Subject: \[orkestr\] shop\/production: the deployment failed at build\r$/m);
  assert.match(got, /^Message-ID: <01890000-0000-7000-8000-000000000001@hub\.example\.com>\r$/m);
  assert.match(got, /^Auto-Submitted: auto-generated\r$/m);
  assert.match(got, /What to do: See its output at the end of the build log\./);
  await assert.rejects(mail({ ...MAIL(server.port), ...login, ORKESTR_HUB_SMTP_PASSWORD: 'wrong' }, cert), {
    code: 'ORK_NOTIFY_ANSWER',
    message: /answered to the login: 535/,
  });
  await assert.rejects(mail(MAIL(server.port)), { code: 'ORK_NOTIFY_TLS', message: /certificate/i });
});

test('mail is sent over implicit TLS when the URL is smtps', async (t) => {
  const { cert, key } = await keys(t);
  const server = await startMailServer(t, { cert, key, secure: true });
  await mail({ ...MAIL(server.port), ORKESTR_HUB_SMTP_URL: `smtps://localhost:${server.port}` }, cert);
  assert.equal(server.got.length, 1);
});

test('mail is not sent without TLS unless the owner of the hub allows it', async (t) => {
  const server = await startMailServer(t, { hideSTARTTLS: true });
  await assert.rejects(mail(MAIL(server.port)), { code: 'ORK_NOTIFY_TLS' });
  assert.equal(server.got.length, 0);
  await mail({ ...MAIL(server.port), ORKESTR_HUB_SMTP_PLAIN: '1' });
  assert.equal(server.got.length, 1);
});

test("a mail server's refusal, an unreachable server and one that does not answer are reported", async (t) => {
  const server = await startMailServer(t, { hideSTARTTLS: true });
  const env = { ...MAIL(server.port), ORKESTR_HUB_SMTP_PLAIN: '1' };
  await assert.rejects(mail(env, undefined, 'nobody@example.com'), {
    code: 'ORK_NOTIFY_ANSWER',
    message: /mail server localhost:\d+ answered: 550 No such mailbox/,
  });
  await assert.rejects(mail({ ...env, ORKESTR_HUB_SMTP_URL: 'smtp://127.0.0.1:1' }), {
    code: 'ORK_NOTIFY_UNREACHABLE',
    message: /mail server 127\.0\.0\.1:1 cannot be reached: .*ECONNREFUSED/,
  });
  const silent = createServer().listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const stuck = { ...env, ORKESTR_HUB_SMTP_URL: `smtp://127.0.0.1:${(silent.address() as AddressInfo).port}` };
  const soon = { ...sendContext(stuck), signal: AbortSignal.timeout(200) };
  await assert.rejects(KINDS.email.send(MESSAGE, { address: 'ops@example.com', secret: null }, soon), {
    code: 'ORK_NOTIFY_UNREACHABLE',
    message: /did not answer in time/,
  });
});

test('an address is shown without its secret part, and an invalid one is refused', () => {
  const { mail: server } = sendContext(MAIL(25));
  for (const kind of RECEIVER_KINDS.filter((name) => name !== 'email')) {
    assert.equal(
      KINDS[kind].shown('https://hooks.example.com:8443/T0/B0/secret?x=y', server),
      'https://hooks.example.com:8443/…',
    );
    for (const wrong of [
      'ops@example.com',
      'ftp://x/y',
      'https://u:p@x.example/',
      'https://x.example/#a',
      'file:///etc',
    ]) {
      assert.throws(() => KINDS[kind].shown(wrong, server), { code: 'ORK_INVALID' }, wrong);
    }
  }
  assert.equal(KINDS.email.shown('ops@example.com', server), 'ops@example.com');
  for (const wrong of ['ops', 'a@b, c@d', 'a@b\r\nBcc: c@d', 'Ops <a@b>']) {
    assert.throws(() => KINDS.email.shown(wrong, server), { code: 'ORK_INVALID' }, wrong);
  }
  assert.throws(() => KINDS.email.shown('ops@example.com', undefined), { code: 'ORK_NOTIFY_MAIL' });
});

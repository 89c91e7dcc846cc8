import assert from 'node:assert/strict';
import { scryptSync } from 'node:crypto';
import { test } from 'node:test';
import { PASSWORD_COST } from '../../protocol/edge.ts';
import type { Answer } from '../http/pages.ts';
import { compileAccess } from './basic-auth.ts';
import { Clients } from './client-rates.ts';
import { PasswordCheck } from './password-check.ts';
import { asked, edge, field, StillClock } from './test-asked.ts';

function hash(password: string): string {
  const salt = Buffer.from('0123456789abcdef');
  const key = scryptSync(password, salt, 32, PASSWORD_COST);
  return `scrypt:${salt.toString('base64')}:${key.toString('base64')}`;
}

const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;

const USERS = [
  { user: 'anna', password: hash('correct horse') },
  { user: 'björn', password: hash('пароль:mit:colons') },
];

function guarded(maxWaiting?: number) {
  const clock = new StillClock();
  const passwords = new PasswordCheck(clock, new Clients(), maxWaiting);
  const openToken = 'open-token';
  const access = compileAccess(edge({ basicAuth: USERS }), {
    passwords,
    isOpenChallenge: (token) => token === openToken,
  });
  const ask = (authorization?: string, clientAddress = '198.51.100.7', target = '/') => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    return access?.judge(asked({ headers, clientAddress, target })) ?? null;
  };
  return { clock, passwords, access, ask };
}

const status = async (answer: Answer | null | Promise<Answer | null>): Promise<number> => (await answer)?.status ?? 200;

test('an environment without users has no access check', () => {
  const parts = { passwords: new PasswordCheck(new StillClock()), isOpenChallenge: null };
  assert.equal(compileAccess(edge({}), parts), null);
});

test('a request without a password, or with another scheme, gets 401 at once', async () => {
  const { ask } = guarded();
  for (const field of [undefined, '', 'Bearer x', 'Basic', 'Basic !!!', 'Basic YQ==YQ==']) {
    const answer = ask(field);
    assert.ok(!(answer instanceof Promise), `${field} needs no scrypt`);
    assert.equal(answer?.status, 401);
  }
  const challenge = field((await ask())?.headers ?? [], 'www-authenticate');
  assert.equal(challenge, 'Basic realm="restricted", charset="UTF-8"');
});

test('a correct name and password pass, slowly once and then at once; any other pair does not', async () => {
  const { ask, access } = guarded();
  assert.deepEqual(access?.hides, ['authorization']);
  assert.equal(await status(ask(basic('anna', 'correct horse'))), 200);
  assert.equal(ask(basic('anna', 'correct horse')), null, 'a promise would mean scrypt');
  assert.equal(await status(ask(basic('björn', 'пароль:mit:colons'))), 200);
  for (const [user, password] of [
    ['anna', 'пароль:mit:colons'],
    ['anna', 'correct hors'],
    ['anna', ''],
    ['', 'correct horse'],
    ['nobody', 'correct horse'],
  ] as const)
    assert.equal(await status(ask(basic(user, password))), 401, `${user} ${password}`);
});

test('a changed password invalidates the previous one', async () => {
  const { ask, passwords } = guarded();
  assert.equal(await status(ask(basic('anna', 'correct horse'))), 200);
  const changed = compileAccess(edge({ basicAuth: [{ user: 'anna', password: hash('new') }] }), {
    passwords,
    isOpenChallenge: null,
  });
  const request = asked({ headers: { authorization: basic('anna', 'correct horse') } });
  assert.equal(await status(changed?.judge(request) ?? null), 401);
});

test('concurrent requests with one new password share one computation', async () => {
  const { ask } = guarded();
  const all = Array.from({ length: 50 }, () => ask(basic('anna', 'correct horse')));
  assert.equal(new Set(all.map((one) => one)).size, 50, 'answers are made for each');
  assert.deepEqual(new Set(await Promise.all(all.map(status))), new Set([200]));
});

test('only a limited number of different passwords per client, and in total, is checked at once', async () => {
  const { ask } = guarded(4);
  const own = await Promise.all(Array.from({ length: 6 }, (_, index) => status(ask(basic('anna', `wrong ${index}`)))));
  assert.deepEqual(own, [401, 401, 401, 401, 503, 503]);
  const crowd = Array.from({ length: 10 }, (_, index) => status(ask(basic('anna', `w ${index}`), `192.0.2.${index}`)));
  const statuses = await Promise.all(crowd);
  assert.equal(statuses.filter((one) => one === 503).length, 10 - 6, 'two run and four wait');
});

test('wrong passwords are counted per client: after ten it must wait, and others need not', async () => {
  const { ask, clock } = guarded();
  for (let tries = 0; tries < 10; tries += 1) assert.equal(await status(ask(basic('anna', `guess ${tries}`))), 401);
  const refused = await ask(basic('anna', 'correct horse'));
  assert.deepEqual([refused?.status, field(refused?.headers ?? [], 'retry-after')], [429, '6']);
  assert.equal(await status(ask(basic('anna', 'correct horse'), '192.0.2.99')), 200);
  clock.ms += 6000;
  assert.equal(await status(ask(basic('anna', 'guess'))), 401);
  // A remembered password costs nothing and gives nothing away, so it is never delayed.
  assert.equal(ask(basic('anna', 'correct horse')), null);
});

test("the CA's challenges need no password; similar paths do", async () => {
  const { ask } = guarded();
  assert.equal(ask(undefined, '192.0.2.1', '/.well-known/acme-challenge/open-token'), null);
  assert.equal(await status(ask(undefined, '192.0.2.1', '/.well-known/acme-challenge/other')), 401);
  assert.equal(await status(ask(undefined, '192.0.2.1', '/.well-known/acme-challenge/../open-token')), 401);
});

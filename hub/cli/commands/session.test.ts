import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { IDS } from '../test-answers.ts';
import { TOKEN, refuse, useCli } from '../test-cli.ts';

const cli = useCli();

const me = {
  user: { id: IDS.project, email: 'ada@example.com', name: 'Ada' },
  team: { id: IDS.host, slug: 'team', name: 'Team', plan: 'pro' },
  scopes: ['read', 'deploy'],
};

test('login checks the token with the hub and stores it in a file that only its owner can read', async () => {
  const hub = await cli.script({ 'GET /me': () => me });
  const result = await cli.home.run(['login', hub.url, '--token', '-'], { stdin: `${TOKEN}\n` });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.match(result.stdout, /ada@example\.com/);
  assert.equal(hub.asked[0]?.headers.authorization, `Bearer ${TOKEN}`);
  const file = join(cli.home.folder, 'orkestr', 'config.json');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(JSON.parse(readFileSync(file, 'utf8')), { url: hub.url, token: TOKEN });
  assert.ok(!result.stdout.includes(TOKEN), 'the token must not be shown');

  const who = await cli.home.run(['whoami', '--json']);
  assert.equal(JSON.parse(who.stdout).user.email, 'ada@example.com');
  assert.equal((await cli.home.run(['logout'])).code, 0);
  assert.equal(existsSync(file), false);
});

test('login without --token reads it from stdin; for an address without https:// it says how to write it', async () => {
  const hub = await cli.script({ 'GET /me': () => me });
  const result = await cli.home.run(['login', hub.url], { stdin: `${TOKEN}\n` });
  assert.deepEqual([result.code, result.stderr], [0, '']);
  assert.equal(hub.asked[0]?.headers.authorization, `Bearer ${TOKEN}`);
  const short = await cli.home.run(['login', 'hub.example.com'], { stdin: TOKEN });
  assert.equal(short.code, 2);
  assert.match(short.stderr, /write it in full: https:\/\/hub\.example\.com$/m);
});

test('login with a token that the hub refuses stores nothing', async () => {
  const hub = await cli.script({ 'GET /me': refuse('ORK_UNAUTHENTICATED', 'The token is unknown.') });
  const result = await cli.home.run(['login', hub.url, '--token', TOKEN]);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /The token is unknown\.\nLog in, or send a valid API token\..* \(ORK_UNAUTHENTICATED\)/);
  assert.ok(!(result.stdout + result.stderr).includes(TOKEN), 'the token must not be shown');
  assert.equal(existsSync(join(cli.home.folder, 'orkestr')), false);
});

test('without a login, a command says how to log in', async () => {
  const result = await cli.home.run(['project', 'list']);
  assert.equal(result.code, 1);
  assert.match(result.stderr, /orkestr login http:\/\/127\.0\.0\.1:7700$/m);
});

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AT, ENVIRONMENT, SHOP } from '../test-answers.ts';
import { useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('env set sends the values, one of them from stdin, and says when they become active', async () => {
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}/variables`]: () => [
      { kind: 'app', name: 'A', updatedAt: AT },
      { kind: 'app', name: 'URL', updatedAt: AT },
    ],
  };
  const result = await run(['env', 'set', 'A=x=y', 'URL=-', ...SHOP], routes, { stdin: 'postgres://secret\n' });
  assert.equal(result.code, 0);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'app', variables: { A: 'x=y', URL: 'postgres://secret' } });
  assert.match(result.stdout, /2 variables changed; active at the next deployment/);
  assert.ok(!result.stdout.includes('postgres://secret'));
  await run(['env', 'unset', 'A', ...SHOP], routes);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'app', variables: { A: null } });
});

test('env set --build sets build secrets, and the list shows the kind of each', async () => {
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}/variables`]: () => [
      { kind: 'app', name: 'A', updatedAt: AT },
      { kind: 'build', name: 'NPM_TOKEN', updatedAt: AT },
    ],
  };
  const result = await run(['env', 'set', '--build', 'NPM_TOKEN=-', ...SHOP], routes, { stdin: 'npm_secret\n' });
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'build', variables: { NPM_TOKEN: 'npm_secret' } });
  assert.match(result.stdout, /^A +app /m);
  assert.match(result.stdout, /^NPM_TOKEN +build /m);
  assert.match(result.stdout, /1 build secret changed/);
  await run(['env', 'unset', 'NPM_TOKEN', '--build', ...SHOP], routes);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'build', variables: { NPM_TOKEN: null } });
});

test('env set suggests deploy --again only when none of the variables is used by the build', async () => {
  const routes: Record<string, Script> = { [`PATCH ${ENVIRONMENT}/variables`]: () => [] };
  const told = async (...names: string[]) => (await run(['env', 'unset', ...names, ...SHOP], routes)).stdout;
  assert.match(
    await told('A', 'B'),
    /2 variables changed; active at the next deployment: orkestr deploy, or .*--again$/m,
  );
  assert.match(await told('A', 'VITE_API_URL'), /active at the next deployment: orkestr deploy$/m);
});

test('env set refuses missing or invalid names and two values from stdin, and prints no value', async () => {
  for (const args of [['secretvalue'], ['1A=secretvalue'], ['A-B=secretvalue'], ['A=-', 'B=-'], ['=secretvalue']]) {
    const result = await run(['env', 'set', ...args, ...SHOP], {}, { stdin: 'x' });
    assert.equal(result.code, 2, args.join(' '));
    assert.ok(!result.stderr.includes('secretvalue'), result.stderr);
  }
});

test('env set --from-file sends all variables of the file in one call, and arguments take precedence', async () => {
  const routes: Record<string, Script> = {
    [`PATCH ${ENVIRONMENT}/variables`]: () => [{ kind: 'app', name: 'URL', updatedAt: AT }],
  };
  const file = 'export URL="postgres://secret"\r\nKEY=\'two\nlines\'\nDEBUG=0\n';
  const variables = { URL: 'postgres://secret', KEY: 'two\nlines', DEBUG: '1' };
  writeFileSync(join(cli.home.folder, '.env'), file);
  const result = await run(['env', 'set', '--from-file', '.env', 'DEBUG=1', ...SHOP], routes);
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(
    cli.hub?.asked.map(({ body }) => body),
    [{ kind: 'app', variables }],
  );
  assert.match(result.stdout, /3 variables changed/);
  assert.ok(!result.stdout.includes('secret'));
  const piped = await run(['env', 'set', '--build', '--from-file', '-', 'DEBUG=1', ...SHOP], routes, { stdin: file });
  assert.equal(piped.code, 0, piped.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, { kind: 'build', variables });
});

test('env set --from-file refuses a file that it cannot use as a whole, and repeats no value', async () => {
  writeFileSync(join(cli.home.folder, 'bad.env'), 'A=1\nsecretvalue\n');
  writeFileSync(join(cli.home.folder, 'utf16.env'), Buffer.from('\uFEFFA=secretvalue', 'utf16le'));
  for (const [args, message] of [
    [['--from-file', 'bad.env'], /bad\.env cannot be used.*\n.*line 2: /],
    [['--from-file', 'utf16.env'], /utf16\.env is not UTF-8/],
    [['--from-file', 'none.env'], /none\.env cannot be read: ENOENT/],
    [['--from-file', '.'], /cannot be read: EISDIR/],
    [['--from-file', '-', 'A=-'], /Only one value can come from stdin, but --from-file and A both use it/],
    [[], /NAME=VALUE, or a \.env file with --from-file/],
  ] as const) {
    const result = await run(['env', 'set', ...args, ...SHOP], {}, { stdin: 'B=1' });
    assert.equal(result.code, 2, args.join(' '));
    assert.match(result.stderr, message);
    assert.ok(!result.stderr.includes('secretvalue'), result.stderr);
  }
});

test('env set names --from-file to who gives it the words of a .env file', async () => {
  for (const words of [['A=1', '#'], ['A="secretvalue"'], ["A='secretvalue'"], ['export', 'A=1']]) {
    const result = await run(['env', 'set', ...words, ...SHOP], {});
    assert.equal(result.code, 2);
    assert.match(result.stderr, /--from-file \.env/);
    assert.ok(!result.stderr.includes('secretvalue'), result.stderr);
  }
});

test('registry add reads the password from stdin only; add, remove and list never print it', async () => {
  const entries = [{ host: 'registry.example.com:5000', username: 'ci', updatedAt: AT }];
  const path = '/projects/shop/registries';
  const add = ['registry', 'add', 'registry.example.com:5000', '--username', 'ci', '--project', 'shop'];
  const routes: Record<string, Script> = {
    [`PUT ${path}/registry.example.com%3A5000`]: () => entries,
    [`DELETE ${path}/ghcr.io`]: (_asked, response) => void response.writeHead(204).end(),
    [`GET ${path}`]: () => entries,
  };
  const added = await run(add, routes, { stdin: 'hunter2\n' });
  assert.equal(added.code, 0, added.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, { username: 'ci', password: 'hunter2' });
  assert.ok(!added.stdout.includes('hunter2'));
  assert.match(added.stdout, /^registry\.example\.com:5000 +ci /m);
  const removed = await run(['registry', 'remove', 'ghcr.io', '--project', 'shop', '--json'], routes);
  assert.deepEqual(JSON.parse(removed.stdout), { registries: entries });
  assert.equal((await run(['registry', 'list', '--project', 'shop'], { [`GET ${path}`]: () => [] })).code, 0);
});

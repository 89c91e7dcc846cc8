import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TOKEN, useCli } from './test-cli.ts';
import type { Script } from './test-cli.ts';

const cli = useCli();
const { run } = cli;

test('a usage error exits 2 and says what is wrong; with --json as a problem on stdout', async () => {
  for (const args of [['deploy', '--foo'], ['env', 'set'], []]) {
    const plain = await cli.home.run(args);
    assert.equal(plain.code, 2, args.join(' '));
    assert.equal(plain.stdout, '');
    assert.match(plain.stderr, /ORK_INVALID/);
    const json = await cli.home.run([...args, '--json']);
    assert.equal(json.code, 2);
    assert.equal(json.stderr, '');
    assert.equal(JSON.parse(json.stdout).code, 'ORK_INVALID');
  }
});

test('help works for all commands and for one, and an unknown command points to it', async () => {
  const all = await cli.home.run(['help']);
  assert.deepEqual([all.code, all.stderr], [0, '']);
  assert.match(all.stdout, /^Usage: orkestr [^]*^First steps:$/m);
  const one = await cli.home.run(['help', 'deploy']);
  assert.equal(one.code, 0);
  assert.match(one.stdout, /^Usage: orkestr deploy [^]*^Examples:$/m);
  const unknown = await cli.home.run(['version']);
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /^orkestr: unknown command 'version'\n {2}│ orkestr help: all commands$/m);
});

test('a command group without a subcommand lists its subcommands', async () => {
  const { stderr } = await cli.home.run(['project']);
  assert.match(stderr, /"orkestr project" needs a command;[^\n]*\n {2}│ create, list, show, set, delete$/m);
});

test('an unreachable hub exits 4', async () => {
  const hub = await cli.script({});
  const { url } = hub;
  await hub.stop();
  const result = await cli.home.run(['project', 'list', '--json'], { env: { ORKESTR_URL: url, ORKESTR_TOKEN: TOKEN } });
  assert.equal(result.code, 4);
  assert.equal(JSON.parse(result.stdout).code, 'ORK_HUB_UNREACHABLE');
});

test('a server that is not a hub is distinguished from a hub that is down', async () => {
  const page =
    (status: number): Script =>
    (_asked, response) =>
      void response.writeHead(status, { 'content-type': 'text/html' }).end('<h1>Hello</h1>');
  assert.equal((await run(['project', 'list', '--json'], { 'GET /projects': page(502) })).code, 4);
  const result = await run(['project', 'list', '--json'], { 'GET /projects': page(200) });
  assert.deepEqual([result.code, JSON.parse(result.stdout).code], [1, 'ORK_PROTOCOL']);
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import type { Project } from '../../api/schemas.ts';
import { AT, ENVIRONMENT, IDS, SHOP, environment, host, project } from '../test-answers.ts';
import { TOKEN, useCli } from '../test-cli.ts';
import type { Script } from '../test-cli.ts';

const cli = useCli();
const { run } = cli;

test('project create prints the remote and the next commands, and sends only the given options', async () => {
  const result = await run(['project', 'create', 'shop', '--domain', 'shop.example.com', '--port', '3000'], {
    'POST /projects': () => project,
  });
  assert.equal(result.code, 0);
  assert.match(result.stdout, /git remote add orkestr http:\/\/hub\.invalid\/git\/shop\.git/);
  assert.match(result.stdout, /git push orkestr HEAD:main/);
  assert.match(result.stdout, /any user name, and an API token/);
  assert.deepEqual(cli.hub?.asked[0]?.body, {
    slug: 'shop',
    environment: { slug: 'production', settings: { port: 3000, domains: [{ host: 'shop.example.com' }] } },
  });
});

test('project create --worker makes a project for a bot, which has no address', async () => {
  const bot: Project = { ...project, slug: 'bot', environments: [{ ...environment, urls: [] }] };
  const result = await run(['project', 'create', 'bot', '--worker', '--start', 'python bot.py'], {
    'POST /projects': () => bot,
  });
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(cli.hub?.asked[0]?.body, {
    slug: 'bot',
    environment: {
      slug: 'production',
      settings: { startCommand: 'python bot.py', healthCheck: { kind: 'running' }, domains: [] },
    },
  });
  assert.doesNotMatch(result.stdout, /Will be available at/);
  const listed = await run(['project', 'list'], { 'GET /projects': () => [bot] });
  assert.match(listed.stdout, /^bot +production +main +nothing yet +no domain: a worker$/m);
});

test('the token of an external repository comes from stdin and appears in no output', async () => {
  const url = 'https://git.example.com/team/shop.git';
  const external: Project = { ...project, origin: 'external', repositoryUrl: url, gitRemote: null };
  const args = ['project', 'create', 'shop', '--repository', url, '--repository-token-stdin'];
  const result = await run(args, { 'POST /projects': () => external }, { stdin: 'repo-secret\n' });
  assert.equal(result.code, 0);
  const body = cli.hub?.asked[0]?.body as { repository: unknown };
  assert.deepEqual(body.repository, { url, auth: { token: 'repo-secret' } });
  assert.ok(!result.stdout.includes('repo-secret'));
  assert.match(result.stdout, /orkestr deploy --project shop/);
});

test('project set replaces the token, changes the URL, or removes the token', async () => {
  const url = 'https://git.example.com/team/shop.git';
  const external: Project = { ...project, origin: 'external', repositoryUrl: url, gitRemote: null };
  const set = async (args: readonly string[], hasRepositoryToken: boolean) => {
    const answer = { ...external, hasRepositoryToken };
    const routes: Record<string, Script> = { 'PATCH /projects/shop': () => answer };
    const result = await run(['project', 'set', 'shop', ...args], routes, { stdin: 'repo-secret\n' });
    assert.equal(result.code, 0, result.stderr);
    assert.ok(!result.stdout.includes('repo-secret'));
    return { said: result.stdout, body: cli.hub?.asked[0]?.body };
  };
  const renewed = await set(['--repository-token-stdin'], true);
  assert.deepEqual(renewed.body, { repository: { auth: { token: 'repo-secret' } } });
  assert.match(
    renewed.said,
    /reads https:\/\/git\.example\.com\/team\/shop\.git with a token: {2}orkestr deploy --project shop/,
  );
  const moved = await set(['--repository', url, '--repository-token-stdin', '--repository-user', 'ci'], true);
  assert.deepEqual(moved.body, { repository: { url, auth: { username: 'ci', token: 'repo-secret' } } });
  const without = await set(['--no-repository-token'], false);
  assert.deepEqual(without.body, { repository: { auth: null } });
  assert.match(without.said, /without a token/);
});

test('project show prints the id and the repository, and whether a token is used to read it', async () => {
  const repositoryUrl = 'https://git.example.com/team/shop.git';
  const shown = { ...project, repositoryUrl, gitRemote: null, hasRepositoryToken: true };
  const result = await run(['project', 'show', 'shop'], { 'GET /projects/shop': () => shown });
  assert.match(result.stdout, /^repository +https:\/\/git\.example\.com\/team\/shop\.git\nread with +a token$/m);
  const own = await run(['project', 'show', 'shop'], { 'GET /projects/shop': () => project });
  assert.doesNotMatch(own.stdout, /read with/);
  assert.match(own.stdout, new RegExp(`^id +${project.id}$`, 'm'));
});

test('project set without a change, or with conflicting token options, is refused', async () => {
  for (const [args, words] of [
    [[], /Nothing to change/],
    [['--repository-user', 'ci'], /--repository-token-stdin/],
    [['--no-repository-token', '--repository-token-stdin'], /cannot be used with/],
  ] as const) {
    const result = await run(['project', 'set', 'shop', ...args], {}, { stdin: 'repo-secret\n' });
    assert.deepEqual([result.code, cli.hub?.asked], [2, []]);
    assert.match(result.stderr, words);
  }
});

test('project list prints an aligned table; with --json one object', async () => {
  const routes = { 'GET /projects': () => [project] };
  const plain = await run(['project', 'list'], routes);
  assert.equal(
    plain.stdout,
    'PROJECT  ENVIRONMENT  BRANCH  SERVES       URL\nshop     production   main    nothing yet  http://shop.localhost:8080/\n',
  );
  const json = await run(['project', 'list', '--json'], routes);
  assert.deepEqual(JSON.parse(json.stdout), { projects: [project] });
});

test('project list and show report a live app that is down, and where its log is', async () => {
  const error = { code: 'ORK_APP_EXITED' as const, message: 'The app exited with code 1.', evidence: [] };
  const down = { since: '2030-01-01T12:04:31.000Z', error, exitCode: 1, restarts: 14 };
  const ill = { ...project, environments: [{ ...environment, liveDeploymentId: IDS.deployment, down }] };
  const listed = await run(['project', 'list'], { 'GET /projects': () => [ill] });
  assert.match(listed.stdout, /^shop +production +main +live, but down +http/m);
  const line =
    'production is live, but down since 2030-01-01 12:04 UTC: The app exited with code 1. Docker has restarted it 14 times.';
  const fix = 'What to do: The app exited by itself. Its last lines of output show why. (ORK_APP_EXITED)';
  const shown = await run(['project', 'show', 'shop'], { 'GET /projects/shop': () => ill });
  const log = 'Its log: orkestr logs --app --environment production';
  assert.ok(shown.stdout.endsWith(`\n\n${line}\n${fix}\n${log} --project shop\n`), shown.stdout);
  const one = await run(['environment', 'show', ...SHOP], { [`GET ${ENVIRONMENT}`]: () => ill.environments[0] });
  assert.ok(one.stdout.endsWith(`\n\n${line}\n${fix}\n${log} --project shop\n`), one.stdout);
});

test('--host accepts the name of a host', async () => {
  const routes: Record<string, Script> = { 'GET /hosts': () => [host], 'POST /projects': () => project };
  await run(['project', 'create', 'shop', '--host', host.name], routes);
  assert.partialDeepStrictEqual(cli.hub?.asked[1]?.body, { environment: { hostId: IDS.host } });
  const environments = { ...routes, 'POST /projects/shop/environments': () => environment };
  await run(['environment', 'create', 'staging', '--host', host.name, ...SHOP], environments);
  assert.partialDeepStrictEqual(cli.hub?.asked[1]?.body, { hostId: IDS.host });
  assert.match((await run(['project', 'create', 'shop', '--host', 'nobody'], routes)).stderr, /no host nobody/);
});

test('deleting a project needs --yes, and sends no request without it', async () => {
  assert.equal((await run(['project', 'delete', 'shop'], {})).code, 2);
  const gone: Script = (_asked, response) => void response.writeHead(204).end();
  const result = await run(['project', 'delete', 'shop', '--yes', '--json'], { 'DELETE /projects/shop': gone });
  assert.deepEqual([result.code, JSON.parse(result.stdout)], [0, { deleted: 'shop' }]);
});

test("the project is taken from the folder's git remote orkestr, if that points to this hub", async () => {
  const hub = await cli.script({ [`GET ${ENVIRONMENT}/variables`]: () => [{ name: 'A', updatedAt: AT }] });
  const git = (...args: string[]): Buffer => execFileSync('git', args, { cwd: cli.home.folder, stdio: 'pipe' });
  const env = { ORKESTR_URL: hub.url, ORKESTR_TOKEN: TOKEN };
  git('init', '--quiet');
  assert.match((await cli.home.run(['env', 'list'], { env })).stderr, /Name it with --project/);
  git('remote', 'add', 'orkestr', 'https://user:pass@elsewhere.example.com/git/shop.git');
  const elsewhere = await cli.home.run(['env', 'list'], { env });
  assert.equal(elsewhere.code, 2);
  assert.ok(!elsewhere.stderr.includes('pass@'), 'a password in a remote must not be shown');
  git('remote', 'set-url', 'orkestr', `${hub.url}/git/shop.git`);
  const found = await cli.home.run(['env', 'list', '--json'], { env });
  assert.deepEqual(JSON.parse(found.stdout), { variables: [{ kind: 'app', name: 'A', updatedAt: AT }] });
});

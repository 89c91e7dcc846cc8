/** Rules for every route of the API, derived from the OpenAPI document: new routes are covered automatically. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import { insertUpgrade } from '../store/upgrades.ts';
import { Scope } from './schemas.ts';
import { API_PREFIX } from './paths.ts';
import { startTestApi, type Call, type TestApi } from './test-api.ts';

type Needed = Scope | 'read or deploy' | 'any' | undefined;

/** Permissions by the token's scope. A route that changes something is never open to `read`. */
const NEEDED: Readonly<Record<string, Needed>> = {
  'POST /session': undefined,
  'DELETE /session': undefined,
  'POST /enrol': undefined,
  'GET /me': 'any',
  'GET /tokens': 'admin',
  'POST /tokens': 'admin',
  'DELETE /tokens/{id}': 'admin',
  'GET /hosts': 'read',
  'POST /hosts': 'admin',
  'POST /hosts/{id}/join-token': 'admin',
  'PATCH /hosts/{id}': 'admin',
  'DELETE /hosts/{id}': 'admin',
  'GET /upgrades': 'read',
  'POST /upgrades': 'admin',
  'GET /upgrades/{id}': 'read',
  'POST /upgrades/{id}/resume': 'admin',
  'POST /upgrades/{id}/skip': 'admin',
  'POST /upgrades/{id}/cancel': 'admin',
  'GET /overview': 'read',
  'GET /projects': 'read',
  'POST /projects': 'write',
  'GET /projects/{project}': 'read',
  'PATCH /projects/{project}': 'write',
  'DELETE /projects/{project}': 'write',
  'POST /projects/{project}/environments': 'write',
  'GET /projects/{project}/environments/{environment}': 'read',
  'PATCH /projects/{project}/environments/{environment}': 'write',
  'DELETE /projects/{project}/environments/{environment}': 'write',
  'PATCH /projects/{project}/environments/{environment}/access': 'write',
  'GET /projects/{project}/environments/{environment}/variables': 'read',
  'PATCH /projects/{project}/environments/{environment}/variables': 'write',
  'GET /projects/{project}/registries': 'read',
  'PUT /projects/{project}/registries/{host}': 'write',
  'DELETE /projects/{project}/registries/{host}': 'write',
  'GET /receivers': 'read',
  'POST /receivers': 'admin',
  'DELETE /receivers/{receiver}': 'admin',
  'POST /receivers/{receiver}/test': 'admin',
  'GET /projects/{project}/receivers': 'read',
  'POST /projects/{project}/receivers': 'write',
  'DELETE /projects/{project}/receivers/{receiver}': 'write',
  'POST /projects/{project}/receivers/{receiver}/test': 'write',
  'GET /projects/{project}/environments/{environment}/deployments': 'read',
  'POST /projects/{project}/environments/{environment}/deployments': 'deploy',
  'GET /projects/{project}/environments/{environment}/app-log': 'read',
  'GET /deployments/{id}': 'read or deploy',
  'POST /deployments/{id}/cancel': 'deploy',
  'POST /deployments/{id}/rollback': 'deploy',
  'GET /deployments/{id}/logs': 'read or deploy',
  'GET /deployments/{id}/events': 'read or deploy',
};

interface Operation {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  /** The required scope, alternatives with "or", "any", or undefined for public routes. */
  readonly scope: string | undefined;
  readonly takesBody: boolean;
}

/** Bodies that pass validation; for all others `{}` does. */
const BODIES: Readonly<Record<string, unknown>> = {
  'POST /session': { token: 'ork_wrong' },
  'POST /tokens': { name: 'x', scopes: ['read'] },
  'POST /hosts': { name: 'x' },
  'PATCH /hosts/{id}': { builds: false },
  'POST /projects': { slug: 'x' },
  'PATCH /projects/{project}': { repository: { auth: null } },
  'POST /projects/{project}/environments': { slug: 'x' },
  'PATCH /projects/{project}/environments/{environment}/access': { users: { ada: 'correct horse' } },
  'PATCH /projects/{project}/environments/{environment}/variables': { variables: { A: '1' } },
  'POST /upgrades/{id}/skip': { hosts: [randomUUIDv7()] },
  'POST /receivers': { kind: 'slack', address: 'https://chat.example.com/x' },
  'POST /projects/{project}/receivers': { kind: 'slack', address: 'https://chat.example.com/x' },
  'PUT /projects/{project}/registries/{host}': { username: 'a', password: 'b' },
};

async function operations(api: TestApi): Promise<Operation[]> {
  const document = (await api.fetch({ path: '/api/openapi.json' })).json;
  return Object.entries<Record<string, { security: unknown[]; description?: string; requestBody?: object }>>(
    document.paths,
  )
    .filter(([path]) => path.startsWith(`${API_PREFIX}/`))
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([verb, operation]) => {
        const method = verb.toUpperCase();
        const [, scope] = /Needs the scope (.+)\.$/m.exec(operation.description ?? '') ?? [];
        return {
          name: `${method} ${path.slice(API_PREFIX.length)}`,
          method,
          path,
          scope: operation.security.length === 0 ? undefined : (scope?.replaceAll('`', '') ?? 'any'),
          takesBody: operation.requestBody !== undefined,
        };
      }),
    );
}

function callOf({ name, method, path }: Operation, values: Readonly<Record<string, string>>): Call {
  const filled = path.replace(/\{(\w+)\}/g, (_, parameter: string) => values[parameter] ?? assert.fail(name));
  return { method, path: filled, ...(['POST', 'PUT', 'PATCH'].includes(method) ? { body: BODIES[name] ?? {} } : {}) };
}

/** A team with one of everything; the deployment has ended, so that following it ends too. */
async function fullTeam(api: TestApi, team: string) {
  const { token, teamId } = await api.account(team);
  const made = async (path: string, body: unknown) => (await api.call(token, 'POST', path, body)).json;
  const host = await made('/hosts', { name: 'vps' });
  const project = await made('/projects', { slug: `${team}-shop` });
  const receiver = { name: `${team}-shop`, kind: 'webhook', address: 'https://chat.example.com/x' };
  for (const path of ['/receivers', `/projects/${project.id}/receivers`]) await made(path, receiver);
  const [environment] = project.environments;
  const deploymentId = randomUUIDv7();
  await api.deps.db
    .insertInto('deployment')
    .values({
      id: deploymentId,
      environment_id: environment.id,
      kind: 'deploy',
      trigger: 'manual',
      status: 'failed',
      generation: 1,
      commit: 'a'.repeat(40),
      branch: 'main',
      env_version: 0,
      variables: 'current',
      cancel_requested: 0,
      created_at: api.deps.clock.now().toISOString(),
    })
    .execute();
  const upgrade = { team_id: teamId, version: '1.0.0', at_once: 1, created_at: api.deps.clock.now().toISOString() };
  const upgradeId = await insertUpgrade(api.deps.db, upgrade, [host.id]);
  const [{ id: tokenId }] = (await api.call(token, 'GET', '/tokens')).json;
  return { token, teamId, host, project, environment, deploymentId, upgradeId, tokenId };
}

type FullTeam = Awaited<ReturnType<typeof fullTeam>>;

/** Values for the path parameters, depending on the resource. */
function fillings({ path }: Operation, of: FullTeam): Record<string, string>[] {
  const { project, environment } = of;
  if (path.includes('{project}')) {
    return [
      { project: project.id, environment: environment.id, host: 'ghcr.io', receiver: project.slug },
      { project: project.slug, environment: environment.slug, host: 'ghcr.io', receiver: project.slug },
    ];
  }
  if (path.includes('/receivers/')) return [{ receiver: of.project.slug }];
  if (path.includes('/hosts/')) return [{ id: of.host.id }];
  if (path.includes('/upgrades/')) return [{ id: of.upgradeId }];
  if (path.includes('/tokens/')) return [{ id: of.tokenId }];
  if (path.includes('/deployments/')) return [{ id: of.deploymentId }];
  return assert.fail(`${path}: say here what its parameters are.`);
}

async function start(t: TestContext) {
  const api = await startTestApi(t);
  const all = await operations(api);
  assert.ok(all.length > 20, 'The document has the routes.');
  return { api, all };
}

test('each route needs the scope that the table lists, and the table lists every route', async (t) => {
  const { all } = await start(t);
  assert.deepEqual(Object.fromEntries(all.map(({ name, scope }) => [name, scope])), NEEDED);
});

test('no response of the API may be cached, whatever its status', async (t) => {
  const { api, all } = await start(t);
  const owner = await fullTeam(api, 'owner');
  for (const operation of all.filter(({ method }) => method !== 'DELETE')) {
    const [values = {}] = operation.path.includes('{') ? fillings(operation, owner) : [];
    for (const token of [owner.token, 'ork_wrong']) {
      const answer = await api.fetch({ ...callOf(operation, values), token });
      assert.equal(answer.headers['cache-control'], 'no-store', `${operation.name}: ${answer.status}`);
    }
  }
});

test('every route answers 404 for resources of another team', async (t) => {
  const { api, all } = await start(t);
  const [owner, stranger] = [await fullTeam(api, 'owner'), await fullTeam(api, 'stranger')];
  const before = await api.deps.db.selectFrom('environment').selectAll().execute();
  const asked = api.asked.length;
  for (const operation of all.filter(({ path }) => path.includes('{'))) {
    for (const values of fillings(operation, owner)) {
      const answer = await api.fetch({ ...callOf(operation, values), token: stranger.token });
      assert.equal(answer.status, 404, `${operation.name}: ${answer.text}`);
      assert.equal(answer.json.code, 'ORK_NOT_FOUND', operation.name);
    }
  }
  // One's own project with an environment of another team must not give access.
  const nested = { project: stranger.project.id, environment: owner.environment.id };
  for (const operation of all.filter(({ path }) => path.includes('{environment}'))) {
    const answer = await api.fetch({ ...callOf(operation, nested), token: stranger.token });
    assert.equal(answer.json.code, 'ORK_NOT_FOUND', operation.name);
  }
  assert.deepEqual(await api.deps.db.selectFrom('environment').selectAll().execute(), before);
  assert.equal(api.asked.length, asked, 'Nothing was asked of any other part.');
});

test('the same requests find their resources for the owner', async (t) => {
  const { api, all } = await start(t);
  const owner = await fullTeam(api, 'owner');
  for (const operation of all.filter(({ path, method }) => path.includes('{') && method === 'GET')) {
    for (const values of fillings(operation, owner)) {
      const answer = await api.fetch({ ...callOf(operation, values), token: owner.token });
      assert.equal(answer.status, 200, `${operation.name}: ${answer.text}`);
    }
  }
});

test('every route except enrolment refuses an unknown field in the body by its name', async (t) => {
  const { api, all } = await start(t);
  const owner = await fullTeam(api, 'owner');
  const taking = all.filter(({ takesBody, name }) => takesBody && name !== 'POST /enrol');
  assert.ok(taking.length > 15);
  for (const operation of taking) {
    const [values = {}] = operation.path.includes('{') ? fillings(operation, owner) : [];
    const call = callOf(operation, values);
    const body = { ...(call.body as object), nobodyKnows: 1 };
    const { json } = await api.fetch({ ...call, body, token: owner.token });
    assert.deepEqual(
      [json.code, json.evidence],
      ['ORK_INVALID', ['body.nobodyKnows: there is no such field']],
      operation.name,
    );
  }
});

test('an environment cannot be placed on a host of another team', async (t) => {
  const { api } = await start(t);
  const [owner, stranger] = [await fullTeam(api, 'owner'), await fullTeam(api, 'stranger')];
  const environment = { slug: 'production', hostId: owner.host.id };
  const answer = await api.call(stranger.token, 'POST', '/projects', { slug: 'x', environment });
  assert.equal(answer.json.code, 'ORK_NOT_FOUND');
});

test('every route except the public ones is refused without a valid token', async (t) => {
  const { api, all } = await start(t);
  const owner = await fullTeam(api, 'owner');
  const open = all.filter(({ scope }) => scope === undefined).map(({ name }) => name);
  assert.deepEqual(open.sort(), ['DELETE /session', 'POST /enrol', 'POST /session']);
  for (const operation of all.filter(({ scope }) => scope !== undefined)) {
    const [values = {}] = operation.path.includes('{') ? fillings(operation, owner) : [];
    for (const token of [undefined, 'ork_wrong', `${owner.token}x`]) {
      const call = callOf(operation, values);
      const answer = await api.fetch(token === undefined ? call : { ...call, token });
      assert.equal(answer.status, 401, `${operation.name}: ${answer.text}`);
      assert.equal(answer.json.code, 'ORK_UNAUTHENTICATED');
      assert.match(String(answer.headers['www-authenticate']), /^Bearer/);
    }
  }
});

test('a route refuses a token that has all scopes except those it needs', async (t) => {
  const { api, all } = await start(t);
  const owner = await fullTeam(api, 'owner');
  for (const needed of new Set(all.map(({ scope }) => scope))) {
    if (needed === undefined || needed === 'any') continue;
    const scopes = Scope.options.filter((scope) => !needed.split(' or ').includes(scope));
    const { token } = (await api.call(owner.token, 'POST', '/tokens', { name: `no ${needed}`, scopes })).json;
    for (const operation of all.filter(({ scope }) => scope === needed)) {
      const [values = {}] = operation.path.includes('{') ? fillings(operation, owner) : [];
      const answer = await api.fetch({ ...callOf(operation, values), token });
      assert.equal(answer.status, 403, `${operation.name}: ${answer.text}`);
      assert.equal(answer.json.code, 'ORK_FORBIDDEN');
      assert.match(answer.json.detail, new RegExp(`"${needed.replace(' or ', '" or "')}"`));
    }
  }
});

test('a token with only the deploy scope can follow a deployment by its id', async (t) => {
  const { api } = await start(t);
  const owner = await fullTeam(api, 'owner');
  const { token } = (await api.call(owner.token, 'POST', '/tokens', { name: 'ci', scopes: ['deploy'] })).json;
  for (const rest of ['', '/events', '/logs']) {
    const { status } = await api.call(token, 'GET', `/deployments/${owner.deploymentId}${rest}`);
    assert.equal(status, 200, rest);
  }
});

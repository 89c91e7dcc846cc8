/**
 * Fixture apps of several kinds, from `git push` to a response through the proxy; `npm run e2e:apps` builds them all.
 */
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { request } from 'undici';
import { STEP_NAMES } from '../../protocol/steps.ts';
import type { TestProject } from '../harness/project.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** Fixture → what its analysis must report, and what its front page must contain. */
const APPS = {
  'node-plain': { runtime: 'node', body: /node/i },
  express: { runtime: 'node', body: /express/i },
  'vite-static': { runtime: 'static', body: /<div id="(?:app|root)"/ },
  'python-stdlib': { runtime: 'python', body: /python/i },
  pnpm: { runtime: 'node', body: /hello from Koa/ },
  procfile: { runtime: 'node', body: /hello from a Procfile/ },
  'dockerfile-own': { runtime: 'dockerfile', body: /./ },
} as const;

const LONG = JSON.stringify('long '.repeat(1000));
/** Files that the build copies as they are. The compressed one has other content, so that it can be recognized. */
const COMPRESSED = {
  'public/long.json': LONG,
  'public/packed.json': '"not packed"',
  'public/packed.json.gz': gzipSync('"packed by the build"'),
};

describe('a pushed fixture app', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.stop());

  const projects = new Map<string, TestProject>();

  for (const [fixture, expected] of Object.entries(APPS)) {
    test(`${fixture} goes live and answers through the proxy`, async () => {
      const project = await stack.createProject(fixture, { settings: { build: { memoryMiB: 2048, cpus: 2 } } });
      projects.set(fixture, project);
      if (fixture === 'vite-static') project.tree.write(COMPRESSED);
      await project.tree.commit('Files of this test');
      const deployment = await project.goesLive();
      assert.deepEqual(
        deployment.steps.map(({ name, status }) => [name, status]),
        STEP_NAMES.map((name) => [name, 'done']),
      );
      assert.equal(deployment.release?.plan.runtime, expected.runtime);
      assert.ok(deployment.release.plan.evidence.length > 0, 'the plan says what it was made from');
      const answer = await project.get('/');
      assert.equal(answer.status, 200);
      assert.match(answer.body, expected.body);
    });
  }

  test('a change of sources alone is built without another install', async () => {
    const project = given('express');
    const source = readFileSync(join(project.tree.folder, 'app.js'), 'utf8');
    const { id } = await project.goesLive({ 'app.js': source.replace('Hello', 'Hello again') });
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${id}/logs`, query: { step: 'build' } });
    const install = (await log.body.text()).split('\n').filter((line) => line.includes('npm ci'));
    assert.match(install.join('\n'), /\bcached\b/i);
    assert.match((await project.get('/')).body, /Hello again/);
  });

  describe('a single-page site', () => {
    test('it answers unknown paths with its page, which browsers request anew each time', async () => {
      const page = await ask('/orders/17');
      assert.equal(page.statusCode, 200);
      assert.match(await page.body.text(), /<div id="(?:app|root)"/);
      assert.equal(page.headers['cache-control'], 'no-cache');
    });

    test('it lets browsers keep files with a hash in their names for ever', async () => {
      const [, script = ''] = /src="(\/assets\/[^"]+)"/.exec(await (await ask('/')).body.text()) ?? [];
      const { statusCode, headers, body } = await ask(script);
      await body.dump();
      assert.deepEqual([statusCode, headers['cache-control']], [200, 'public, max-age=31536000, immutable']);
    });

    test('it compresses long files, and only for clients that accept it', async () => {
      const packed = await ask('/long.json', 'gzip');
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal(packed.headers.vary, 'Accept-Encoding');
      assert.equal(gunzipSync(await packed.body.bytes()).toString(), LONG);
      const plain = await ask('/long.json', 'identity');
      assert.equal(plain.headers['content-encoding'], undefined);
      assert.equal(await plain.body.text(), LONG);
    });

    test('it sends the compressed file that the build left beside another', async () => {
      const packed = await ask('/packed.json', 'gzip');
      assert.equal(packed.headers['content-encoding'], 'gzip');
      assert.equal(gunzipSync(await packed.body.bytes()).toString(), '"packed by the build"');
    });
  });

  function given(fixture: keyof typeof APPS): TestProject {
    const project = projects.get(fixture);
    assert.ok(project, `${fixture} was deployed`);
    return project;
  }

  const ask = (path: string, encoding = 'identity'): ReturnType<typeof request> =>
    request(`${stack.proxyUrl}${path}`, {
      headers: { host: given('vite-static').hostName, 'accept-encoding': encoding },
    });
});

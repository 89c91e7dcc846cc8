import { strict as assert } from 'node:assert';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Image } from '../../../protocol/steps.ts';
import { aRollback, checkout, image, plan } from './test-outputs.ts';
import { tableView, upstreamView } from '../../proxy-client/test-table.ts';
import type { ImageStore, OwnedImage, Ports, Workspaces } from '../ports.ts';
import { mustBeFree } from '../taken-routes.ts';
import { aContext } from '../test-context.ts';
import { secondJob, IDS } from '../test-job.ts';
import type { JobChanges } from '../test-job.ts';
import { scripted } from '../test-ports.ts';
import { analyze } from './analyze.ts';
import { build } from './build.ts';
import { clone } from './clone.ts';

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'orkestr-steps-'));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

describe('the step clone', () => {
  test("checks out the exact commit into the deployment's own folder while the build engine starts", async () => {
    const requests: unknown[] = [];
    const warm = () => void requests.push('warm');
    const context = aContext({
      ports: {
        proxy: scripted<Ports['proxy']>('proxy', { table: async () => tableView() }),
        builder: scripted<Ports['builder']>('builder', { warm }),
        workspaces: scripted<Workspaces>('workspaces', { checkoutDirectory: (name) => `/state/${name}` }),
        sourceControl: {
          checkout: async ({ directory, commit, source }) => {
            requests.push({ directory, commit, source });
            return { commit, subject: 'first', author: 'someone', files: 1, bytes: 2 };
          },
        },
      },
    });
    const { source, commit } = context.job;
    assert.equal((await clone.run(context)).commit, commit);
    assert.deepEqual(requests, ['warm', { directory: `/state/${IDS.deployment}`, commit, source }]);
  });

  const otherHas = (host: string) => tableView(upstreamView({ id: IDS.previous, routes: [{ host, pathPrefix: '/' }] }));
  const taking = (host: string) => secondJob({ settings: { domains: [{ host, pathPrefix: '/' }] } });

  test('fails before any fetch or build if the host serves another environment at one of its domains', async () => {
    const proxy = scripted<Ports['proxy']>('proxy', { table: async () => otherHas('taken.test') });
    const context = aContext({ job: taking('taken.test'), ports: { proxy } });
    await assert.rejects(async () => clone.run(context), {
      code: 'ORK_ROUTE_TAKEN',
      message: new RegExp(`taken\\.test/.*orkestr-agent remove ${IDS.previous}$`),
      evidence: [`environment ${IDS.previous}`],
    });
    assert.equal(context.lines.length, 1, 'that it waits is said once');
  });

  test('waits for a domain to become free, and skips the check without a proxy or for another host', async () => {
    const tables = [otherHas('moves.test'), otherHas('moves.test'), tableView()];
    const proxy = scripted<Ports['proxy']>('proxy', { table: async () => tables.shift() ?? assert.fail() });
    await mustBeFree(aContext({ job: taking('moves.test'), ports: { proxy } }));
    assert.deepEqual(tables, []);
    const table = () => Promise.reject(new OrkestrError('ORK_PROXY_UNREACHABLE', 'Nobody there.'));
    await mustBeFree(aContext({ ports: { proxy: scripted<Ports['proxy']>('proxy', { table }) } }));
    await mustBeFree(aContext({ job: { ...secondJob(), kind: 'build' } }));
  });

  test('undo removes the workspace', async () => {
    const removed: string[] = [];
    const workspaces = scripted<Workspaces>('workspaces', { remove: async (name) => void removed.push(name) });
    await clone.undo?.(aContext({ ports: { workspaces } }));
    assert.deepEqual(removed, [IDS.deployment]);
  });
});

describe('the step analyze', () => {
  const analyzeIn = (checkout: string, parts: JobChanges = {}) => {
    const context = aContext({
      job: secondJob(parts),
      ports: {
        workspaces: scripted<Workspaces>('workspaces', { checkoutDirectory: () => checkout }),
        images: scripted<Ports['images']>('images', { isMadeHere: async () => false }),
      },
    });
    return { context, plan: analyze.run(context) };
  };

  test('plans from the root directory and logs the evidence and the generated Dockerfile', async (t) => {
    const checkout = await folder(t);
    await mkdir(join(checkout, 'apps/web'), { recursive: true });
    await writeFile(join(checkout, 'apps/web/index.html'), 'hello');
    const { context, plan } = analyzeIn(checkout, { settings: { rootDirectory: 'apps/web', port: 9000 } });
    assert.equal((await plan).rootDirectory, 'apps/web');
    assert.equal((await plan).port, 9000);
    assert.match((await plan).detectorVersion ?? '', /^\d+\.\d+\.\d+/);
    assert.ok(context.lines.includes('port: 9000 (environment setting)'), context.lines.join('\n'));
    assert.ok(context.lines.some((line) => line.startsWith('  FROM ')));
  });

  test('passes only public variables to the build and logs only their names', async (t) => {
    const checkout = await folder(t);
    await writeFile(join(checkout, 'package.json'), '{"devDependencies":{"vite":"8"}}');
    const env = { VITE_API_URL: 'https://api.example', DATABASE_URL: 'postgres://secret', VITEST: '1' };
    const { context, plan } = analyzeIn(checkout, { env });
    assert.deepEqual((await plan).buildArgs, { VITE_API_URL: 'https://api.example' });
    assert.ok(context.lines.includes('1 public variable goes into the build: VITE_API_URL'));
    assert.doesNotMatch(context.lines.join('\n'), /api\.example|postgres/);
  });

  test('a rollback keeps the plan of its release, even if the repository has changed since', async () => {
    // No port is scripted: the repository is not read.
    const context = aContext({ job: aRollback() });
    assert.deepEqual(await analyze.run(context), plan);
    assert.match(context.lines.join(), new RegExp(`using the plan of deployment ${IDS.previous}, made by`));
  });

  test('the error names a Dockerfile that is too long for a plan', async (t) => {
    const checkout = await folder(t);
    await writeFile(join(checkout, 'Dockerfile'), `FROM scratch\n${'# long\n'.repeat(50_000)}`);
    await assert.rejects(analyzeIn(checkout).plan, {
      code: 'ORK_MANIFEST_INVALID',
      message: /^Dockerfile has \d+ bytes, and a build plan holds at most 262144 in all/,
    });
  });

  test('the error names a root directory that is missing or a file', async (t) => {
    const checkout = await folder(t);
    await writeFile(join(checkout, 'web'), '');
    for (const rootDirectory of ['web', 'apps/web']) {
      await assert.rejects(analyzeIn(checkout, { settings: { rootDirectory } }).plan, {
        code: 'ORK_ROOT_MISSING',
        message: new RegExp(rootDirectory),
      });
    }
  });

  test('rejects a root directory behind a link, wherever the link leads', async (t) => {
    const checkout = await folder(t);
    const outside = await folder(t);
    await mkdir(join(outside, 'app'));
    await symlink(outside, join(checkout, 'web'));
    for (const rootDirectory of ['web', 'web/app']) {
      await assert.rejects(analyzeIn(checkout, { settings: { rootDirectory } }).plan, { code: 'ORK_REPO_UNSAFE' });
    }
  });
});

describe('the step build', () => {
  test('builds the plan from its root directory under a name derived from the ids', async () => {
    const requests: unknown[] = [];
    const context = aContext({
      outputs: { clone: checkout, analyze: plan },
      ports: {
        workspaces: scripted<Workspaces>('workspaces', { checkoutDirectory: () => '/checkout' }),
        builder: scripted<Ports['builder']>('builder', {
          build: async ({ reference, contextDirectory, owner, revision, again }) => {
            requests.push({ reference, contextDirectory, owner, revision, again });
            return image;
          },
        }),
      },
    });
    assert.equal(await build.run(context), image);
    assert.deepEqual(requests, [
      {
        reference: `orkestr/${IDS.environment}:${IDS.deployment}`,
        contextDirectory: '/checkout/web',
        owner: { deploymentId: IDS.deployment, environmentId: IDS.environment, projectId: IDS.project },
        revision: { commit: checkout.commit, committedAt: new Date('2026-01-02T03:04:05.000Z') },
        again: undefined,
      },
    ]);
  });

  test('for a rollback whose image is gone, the builder is told which release it rebuilds', async () => {
    const released: unknown[] = [];
    const builder = scripted<Ports['builder']>('builder', {
      build: async ({ again }) => {
        released.push(again?.deploymentId, again?.image);
        return image;
      },
    });
    const workspaces = scripted<Workspaces>('workspaces', { checkoutDirectory: () => '/checkout' });
    const outputs = { clone: checkout, analyze: plan };
    await build.run(aContext({ job: aRollback(), outputs, ports: { workspaces, builder } }));
    assert.deepEqual(released, [IDS.previous, image]);
  });

  const undoWith = async (found: Image | null, listed: OwnedImage[]): Promise<string[]> => {
    const removed: string[] = [];
    const images = scripted<ImageStore>('images', {
      find: async () => found,
      list: async () => listed,
      remove: async (imageId) => removed.push(imageId) > 0,
    });
    await build.undo?.(aContext({ ports: { images } }));
    return removed;
  };
  const owned = (deploymentId: string): OwnedImage => ({ id: image.id, reference: 'r', deploymentId });

  test('undo removes its image', async () => {
    assert.deepEqual(await undoWith(image, [owned(IDS.deployment)]), [image.id]);
  });

  test('undo is safe without a prior run', async () => {
    assert.deepEqual(await undoWith(null, []), []);
  });

  test('undo keeps an image that also belongs to another deployment', async () => {
    assert.deepEqual(await undoWith(image, [owned(IDS.deployment), owned(IDS.previous)]), []);
  });
});

/**
 * A host that does not build: another one builds and pushes to a registry, and this one pulls and serves. All real; one
 * story in the order of its tests.
 */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { z } from 'zod';
import { scopeOf } from '../../agent/identity/identity.ts';
import { Host } from '../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/api/paths.ts';
import { enrolHost } from '../../installer/stack/enrol.ts';
import { Service } from '../../installer/stack/service.ts';
import { agentCommand, makeFolders, runFolderOf } from '../../installer/stack/stack.ts';
import type { StackPlan } from '../../installer/stack/stack.ts';
import { Image, STEP_NAMES } from '../../protocol/steps.ts';
import type { TestProject } from '../harness/project.ts';
import { keepRecord, noteScope, sweep } from '../harness/records.ts';
import { LOGIN_PASSWORD, TestRegistry } from '../harness/registry.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';
import { until } from '../harness/until.ts';

/** A static site: its base image is small, and all of it must be pushed once. */
const site = (version: string) => ({ 'index.html': version });

/** A second agent for the stack's hub, as if on another machine. */
class SecondHost {
  readonly plan: StackPlan;

  constructor(stack: Stack) {
    const folder = `${stack.folder}-builder`;
    this.plan = { ...stack.plan, folder, runFolder: runFolderOf(folder) };
  }

  async start(stack: Stack): Promise<Host> {
    keepRecord(this.plan);
    makeFolders(this.plan);
    await enrolHost(stack.client, this.plan, 'builder');
    const service = await Service.start(agentCommand(this.plan));
    keepRecord(this.plan, service.identity);
    const online = async (): Promise<Host | undefined> => {
      const hosts = await stack.client.get('/hosts', z.array(Host));
      return hosts.find((host) => host.name === 'builder' && host.online);
    };
    await until(async () => (await online()) !== undefined, 'the second agent reaches the hub', { lookMs: 100 });
    const host = await online();
    assert.ok(host);
    noteScope(scopeOf(host.id));
    return host;
  }
}

describe('a host that does not build', () => {
  let stack: Stack;
  let second: SecondHost;
  let builder: Host;
  let served: TestRegistry;
  let pushed: TestRegistry | undefined;
  let project: TestProject;
  const live: DeploymentDetail[] = [];

  before(async () => {
    stack = await startStack();
    second = new SecondHost(stack);
    builder = await second.start(stack);
    served = await TestRegistry.start({ folder: join(stack.folder, 'registry') });
    await stack.client.patch(apiPath('hosts', stack.host.id), { builds: false }, Host);
    project = await stack.createProject(site('one'), {
      slug: 'elsewhere',
      hostId: stack.host.id,
      settings: { registry: `${served.host}/team/elsewhere` },
    });
    const { host, ...login } = served.login;
    await stack.client.put(apiPath('projects', 'elsewhere', 'registries', host), login, z.unknown());
  });
  after(async () => {
    await pushed?.stop();
    await served?.stop();
    await stack.stop();
    await sweep(second.plan.folder);
  });

  /** Starts it in the build engine's network, which exists once that engine does; until then, the push is retried. */
  async function startPushed(): Promise<void> {
    const namespacePath = `/run/netns/orkb-${scopeOf(builder.id)}a`;
    const isStarted = async (): Promise<boolean> => {
      if (!existsSync(namespacePath)) return false;
      // The name exists before the namespace does, and the namespace before its loopback.
      pushed = await TestRegistry.start({ folder: served.folder, port: served.port, namespacePath }).catch(
        () => undefined,
      );
      return pushed !== undefined;
    };
    const patience = { lookMs: 100, neverMs: 180_000 };
    await until(isStarted, "the registry starts in the build engine's network", patience);
  }

  const imageOf = (deployment: DeploymentDetail): Image =>
    Image.parse(deployment.steps.find(({ name }) => name === 'build')?.output);
  const imagesNamed = async (part: string): Promise<number> =>
    (await project.images()).filter(({ RepoTags }) => RepoTags?.some((name) => name.startsWith(part))).length;

  test('it serves what another one has built, as one deployment with all steps and logs', async () => {
    const made = await project.push();
    const [deployment] = await Promise.all([stack.goesLive(made.id), startPushed()]);
    live.push(deployment);
    assert.deepEqual(
      deployment.steps.map(({ name, status }) => `${name} ${status}`),
      STEP_NAMES.map((name) => `${name} done`),
    );
    assert.equal((await project.get()).body, 'one');
    assert.match(imageOf(deployment).registryReference ?? '', new RegExp(`^${served.host}/team/elsewhere@sha256:`));
    assert.equal(deployment.release?.image.registryReference, imageOf(deployment).registryReference);
    assert.deepEqual([await imagesNamed('orkestr/'), await imagesNamed(`orkestr-${stack.scope}/`)], [0, 1]);
  });

  test('its logs show push and pull, and no password', async () => {
    const { id } = live[0] ?? assert.fail();
    const logs = await Promise.all(
      ['build', 'deploy'].map(async (step) => {
        const answer = await stack.client.open({
          method: 'GET',
          path: `${apiPath('deployments', id, 'logs')}?step=${step}`,
        });
        return answer.body.text();
      }),
    );
    assert.match(logs[0] ?? '', /Pushed \d+ layers/);
    assert.match(logs[1] ?? '', /Pulled \d+ layers/);
    assert.ok(!logs.join('').includes(LOGIN_PASSWORD));
  });

  test('it rolls back to a release whose image was pruned by pulling it, and builds nothing', async () => {
    await project.goesLive(site('two'));
    assert.equal((await project.get()).body, 'two');
    const [first] = live;
    assert.ok(first);
    await stack.engine.removeImage(imageOf(first).id);
    const back = await stack.goesLive((await project.rollback(first)).id);
    assert.equal(back.steps.find(({ name }) => name === 'build')?.status, 'skipped');
    assert.equal((await project.get()).body, 'one');
  });
});

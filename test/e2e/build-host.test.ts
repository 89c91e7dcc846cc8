/** A host that does not build: another one builds and pushes to a registry, and this one pulls and serves. All real. */
import { strict as assert } from 'node:assert';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { Deployment, Host } from '../../hub/api/schemas.ts';
import type { DeploymentDetail } from '../../hub/api/schemas.ts';
import { apiPath } from '../../hub/cli/client.ts';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { enrolHost } from '../../installer/stack/enrol.ts';
import { Service } from '../../installer/stack/service.ts';
import { agentCommand, makeFolders, runFolderOf, scopeOf } from '../../installer/stack/stack.ts';
import type { StackPlan } from '../../installer/stack/stack.ts';
import { Image } from '../../protocol/steps.ts';
import type { TestProject } from '../harness/project.ts';
import { keepRecord, noteScope, sweep } from '../harness/records.ts';
import { LOGIN_PASSWORD, TestRegistry } from '../harness/registry.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

/** A static site: its base image is small, and all of it must be pushed once. */
const site = (version: string) => ({ 'index.html': version });

/** A second agent for the stack's hub, as if on another machine. */
class SecondHost {
  readonly plan: StackPlan;
  host: Host | null = null;

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
    for (let tries = 0; ; tries += 1) {
      const hosts = await stack.client.get('/hosts', z.array(Host));
      const host = hosts.find(({ name, online }) => name === 'builder' && online);
      if (host !== undefined) {
        noteScope(scopeOf(host.id));
        return host;
      }
      assert.ok(tries < 300, 'the second agent does not reach the hub');
      await delay(100);
    }
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
    for (let tries = 0; pushed === undefined; tries += 1) {
      assert.ok(tries < 600, 'the build engine does not start');
      await delay(100);
      if (!existsSync(namespacePath)) continue;
      // The name exists before the namespace does, and the namespace before its loopback.
      pushed = await TestRegistry.start({ folder: served.folder, port: served.port, namespacePath }).catch(
        () => undefined,
      );
    }
  }

  const imageOf = (deployment: DeploymentDetail): Image =>
    Image.parse(deployment.steps.find(({ name }) => name === 'build')?.output);
  const imagesNamed = async (part: string): Promise<number> => {
    const engine = new EngineApi(stack.plan.dockerSocket);
    try {
      return (await engine.images(`orkestr.environment=${live[0]?.environment.id}`)).filter(({ RepoTags }) =>
        RepoTags?.some((name) => name.startsWith(part)),
      ).length;
    } finally {
      await engine.close();
    }
  };

  test('serves what another one has built, as one deployment with all steps and logs', async () => {
    const made = await project.push();
    const [deployment] = await Promise.all([stack.waitForDeployment(made.id), startPushed()]);
    assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
    live.push(deployment);
    assert.deepEqual(
      deployment.steps.map(({ name, status }) => `${name} ${status}`),
      ['clone', 'analyze', 'build', 'deploy', 'health', 'cutover', 'finalize'].map((name) => `${name} done`),
    );
    assert.equal((await project.get()).body, 'one');
    assert.match(imageOf(deployment).registryReference ?? '', new RegExp(`^${served.host}/team/elsewhere@sha256:`));
    assert.equal(deployment.release?.image.registryReference, imageOf(deployment).registryReference);
    assert.deepEqual([await imagesNamed('orkestr/'), await imagesNamed(`orkestr-${stack.scope}/`)], [0, 1]);
  });

  test('its logs tell of push and pull, and hold no password', async () => {
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

  test('goes back to a release whose image is pruned by pulling it, and builds nothing', async () => {
    const next = await project.deploy(site('two'));
    assert.equal(next.status, 'live', JSON.stringify(next.error));
    assert.equal((await project.get()).body, 'two');
    const [first] = live;
    assert.ok(first);
    const engine = new EngineApi(stack.plan.dockerSocket);
    await engine.removeImage(imageOf(first).id);
    await engine.close();
    const asked = await stack.client.post(`${apiPath('deployments', first.id)}/rollback`, {}, Deployment);
    const back = await stack.waitForDeployment(asked.id);
    assert.equal(back.status, 'live', JSON.stringify(back.error));
    assert.equal(back.steps.find(({ name }) => name === 'build')?.status, 'skipped');
    assert.equal((await project.get()).body, 'one');
  });
});

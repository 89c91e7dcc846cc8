import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { container, image, plan } from './test-outputs.ts';
import type { ContainerRequest, ContainerState, Ports } from '../ports.ts';
import { aContext } from '../test-context.ts';
import { secondJob, IDS } from '../test-job.ts';
import type { JobChanges } from '../test-job.ts';
import { scripted } from '../test-ports.ts';
import { deploy } from './deploy.ts';

describe('the step deploy', () => {
  const start = async (
    parts: { job?: JobChanges; plan?: Partial<BuildPlan>; state?: Partial<ContainerState> } = {},
  ) => {
    const requests: ContainerRequest[] = [];
    const containers = scripted<Ports['containers']>('containers', {
      start: async (request) => {
        requests.push(request);
        return container(IDS.deployment, parts.state);
      },
      tail: async () => ['fatal: boom'],
    });
    const outputs = { analyze: { ...plan, ...parts.plan }, build: image };
    const target = await deploy.run(aContext({ job: secondJob(parts.job), outputs, ports: { containers } }));
    assert.ok(requests[0]);
    return { target, request: requests[0] };
  };

  test("starts the image beside the old one with the environment's variables, PORT and its own identity", async () => {
    const { target, request } = await start({ job: { env: { GREETING: 'hi', ORKESTR_COMMIT: 'forged' } } });
    assert.equal(request.name, `orkestr-${IDS.deployment}`);
    assert.equal(request.networkName, `orkestr-${IDS.project}`);
    assert.equal(request.imageId, image.id);
    assert.equal(request.command, undefined);
    assert.deepEqual(request.env, {
      GREETING: 'hi',
      PORT: '8080',
      ORKESTR_DEPLOYMENT_ID: IDS.deployment,
      ORKESTR_COMMIT: 'c'.repeat(40),
      ORKESTR_PROJECT: 'shop',
      ORKESTR_ENVIRONMENT: 'production',
    });
    assert.deepEqual(target, {
      containerId: `container of ${IDS.deployment}`,
      containerName: `orkestr-${IDS.deployment}`,
      address: '172.20.0.3',
      port: 8080,
      portFrom: 'default',
      portGuessed: true,
    });
  });

  test('leaves the variable PORT of the environment unchanged', async () => {
    const { target, request } = await start({ job: { env: { PORT: '5000' } } });
    assert.equal(request.env['PORT'], '5000');
    assert.equal(target.port, 5000);
  });

  test('a worker has the variable PORT only if its environment sets a port', async () => {
    const healthCheck = { kind: 'running', runSeconds: 10 } as const;
    const { target, request } = await start({ job: { settings: { healthCheck } } });
    assert.ok(!('PORT' in request.env));
    assert.deepEqual([target.worker, target.port, target.portGuessed], [true, 8080, false]);
    const bySetting = await start({ job: { settings: { healthCheck, port: 5000 } } });
    assert.equal(bySetting.request.env['PORT'], '5000');
    const byVariable = await start({ job: { settings: { healthCheck }, env: { PORT: '6000' } } });
    assert.equal(byVariable.request.env['PORT'], '6000');
  });

  test("a start command for a repository's own Dockerfile becomes the container's command", async () => {
    const own = { origin: 'repository', path: 'Dockerfile', text: 'FROM x' } as const;
    const { request } = await start({ plan: { dockerfile: own, startCommand: 'node other.js' } });
    assert.deepEqual(request.command, ['node', 'other.js']);
  });

  test('an app that exits before it has an address fails with its last line', async () => {
    const state = { running: false, address: null, exitCode: 1 };
    await assert.rejects(start({ state }), { code: 'ORK_APP_EXITED', message: /exited with code 1.*fatal: boom/ });
  });

  test('undo removes the container and keeps the network, to which a database may be attached', async () => {
    const calls: unknown[] = [];
    // Throws if anything else is asked for: neither the list of containers nor the removal of a network.
    const containers = scripted<Ports['containers']>('containers', {
      stop: async () => undefined,
      tail: async () => [],
      stopAndRemove: async (name, grace) => void calls.push(['stop', name, grace]),
    });
    await deploy.undo?.(aContext({ ports: { containers } }));
    assert.deepEqual(calls, [['stop', `orkestr-${IDS.deployment}`, 10]]);
  });
});

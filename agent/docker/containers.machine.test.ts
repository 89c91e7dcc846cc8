/** Against the machine's real engine. Needs the debian base image. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import type { OrkestrError } from '../../protocol/errors.ts';
import { until } from '../../test/harness/until.ts';
import type { ContainerRequest, ContainerState } from '../deployment/ports.ts';
import { makeFirewall } from '../firewall/firewall.ts';
import { openMetadataService } from '../firewall/test-remote-host.ts';
import { LABEL } from '../lib/labels.ts';
import { makeContainerRuntime } from './containers.ts';
import { makeEngine } from './engine.ts';
import { makeImageStore } from './images.ts';
import { bridgeName } from './networks.ts';

const IMAGE = 'debian:trixie-slim';
const scope = randomBytes(4).toString('hex');
const projectId = randomUUID();
const networkName = `orkestr-${projectId}`;
const otherNetwork = `orkestr-${randomUUID()}`;

const engine = makeEngine({ socketPath: '/var/run/docker.sock' });
const firewall = makeFirewall({ scope });
const runtime = makeContainerRuntime(engine, { scope, beforeStart: () => firewall.ensure() });
const made: string[] = [];

/** A request whose container runs `script` in a shell. */
function request(script: string, changes: Partial<ContainerRequest> = {}): ContainerRequest {
  const deploymentId = randomUUID();
  const name = `orkestr-${deploymentId}`;
  made.push(name);
  return {
    owner: { deploymentId, environmentId: randomUUID(), projectId },
    name,
    imageId: IMAGE,
    env: {},
    command: ['sh', '-c', script],
    limits: { memoryMiB: 64, cpus: 0.5, pids: 64 },
    readOnlyRoot: false,
    capabilities: [],
    networkName,
    ...changes,
  };
}

async function ended(name: string): Promise<ContainerState> {
  let state: ContainerState | null = null;
  await until(async () => (state = await runtime.inspect(name))?.running === false, `${name} ends`);
  return state ?? assert.fail();
}

const shell = (name: string, script: string): Promise<{ exitCode: number; output: string }> =>
  runtime.exec(name, ['bash', '-c', script], 20_000);

describe('containers on a real engine', () => {
  before(async () => {
    const image = await makeImageStore(engine, { scope }).find(IMAGE);
    assert.ok(image, `the base image ${IMAGE} is needed: orkestr-agent base-images build debian`);
  });
  after(async () => {
    for (const name of made) await runtime.stopAndRemove(name, 0);
    await runtime.removeNetwork(networkName);
    await runtime.removeNetwork(otherNetwork);
    await firewall.remove();
    const left = await engine.call('look for leftovers', (docker) =>
      docker.listContainers({ all: true, filters: { label: [`${LABEL.scope}=${scope}`] } }),
    );
    assert.deepEqual(left, []);
  });

  test('a second start finds the first container, even if that has stopped', async () => {
    const wanted = request('sleep 1000');
    const first = await runtime.start(wanted);
    assert.ok(first.running && first.address !== null && first.pid !== null);
    assert.equal(first.deploymentId, wanted.owner.deploymentId);
    assert.equal((await runtime.start(wanted)).id, first.id);
    await engine.call('stop', (docker) => docker.getContainer(first.id).kill());
    await ended(wanted.name);
    const again = await runtime.start(wanted);
    assert.deepEqual([again.id, again.running], [first.id, true]);
  });

  test('a container that has stopped starts again as it is by its name; one that runs goes on', async () => {
    const wanted = request('echo "$GREETING"; sleep 1000', { env: { GREETING: 'as before' } });
    const first = await runtime.start(wanted);
    await runtime.stop(wanted.name, 0);
    const again = await runtime.startExisting(wanted.name);
    assert.deepEqual([again.id, again.running, again.address !== null], [first.id, true, true]);
    assert.equal((await runtime.startExisting(wanted.name)).startedAt, again.startedAt);
    assert.ok((await runtime.variables(wanted.name)).includes('as before'));
    const none = { code: 'ORK_START_FAILED', message: /no container orkestr-none of orkestr/ };
    await assert.rejects(runtime.startExisting('orkestr-none'), none);
  });

  test('two concurrent starts create one container', async () => {
    const wanted = request('sleep 1000');
    const states = await Promise.all([runtime.start(wanted), runtime.start(wanted)]);
    assert.equal(states[0].id, states[1].id);
  });

  test('a container of the same name that orkestr does not own is never touched', async (t) => {
    const wanted = request('sleep 1000');
    const foreign = await engine.call('make a foreign one', (docker) =>
      docker.createContainer({ name: wanted.name, Image: IMAGE, Cmd: ['true'] }),
    );
    t.after(() => foreign.remove({ force: true }));
    await assert.rejects(runtime.start(wanted), (error: OrkestrError) => error.code === 'ORK_CONFLICT');
    await assert.rejects(runtime.startExisting(wanted.name), { code: 'ORK_START_FAILED' });
    assert.equal(await runtime.inspect(wanted.name), null);
    await runtime.stopAndRemove(wanted.name, 0);
    assert.ok(await foreign.inspect());
  });

  test('a container is hardened and limited as designed', async () => {
    const wanted = request('sleep 1000', { readOnlyRoot: true, capabilities: ['CHOWN'] });
    const { id } = await runtime.start(wanted);
    const { HostConfig: host } = await engine.call('inspect', (docker) => docker.getContainer(id).inspect());
    assert.equal(host.Memory, 64 * 1_048_576);
    assert.equal(host.MemorySwap, host.Memory);
    assert.equal(host.PidsLimit, 64);
    assert.equal(host.RestartPolicy?.Name, 'no');
    assert.deepEqual(host.PortBindings ?? {}, {});
    const seen = await shell(
      wanted.name,
      'grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; touch /x 2>/dev/null || echo ro; touch /tmp/x /run/x && echo tmp; ls /run/docker.sock /var/run/docker.sock; head -1 /proc/1/cmdline | tr "\\0" " "',
    );
    assert.match(seen.output, /CapBnd:\s+0000000000000001\n/); // CHOWN is bit 0
    assert.match(seen.output, /NoNewPrivs:\s+1\n/);
    assert.match(seen.output, /Seccomp:\s+2\n/);
    assert.match(seen.output, /^ro\ntmp$/m);
    assert.doesNotMatch(seen.output, /^\/(?:var\/)?run\/docker\.sock$/m);
    assert.match(seen.output, /docker-init|\/sbin\/docker-init/);
  });

  test('keepRunning makes the engine restart a container', async () => {
    const wanted = request('sleep 1000');
    const { id } = await runtime.start(wanted);
    await runtime.keepRunning(wanted.name);
    const { HostConfig: host } = await engine.call('inspect', (docker) => docker.getContainer(id).inspect());
    assert.equal(host.RestartPolicy?.Name, 'unless-stopped');
  });

  test('a stopped container stays and can start again, and stopping it twice or a missing one is a no-op', async () => {
    const wanted = request('sleep 1000');
    const { id } = await runtime.start(wanted);
    await runtime.keepRunning(wanted.name);
    await runtime.stop(wanted.name, 0);
    await runtime.stop(wanted.name, 0);
    await runtime.stop(`${wanted.name}-none`, 0);
    assert.equal((await runtime.inspect(wanted.name))?.running, false);
    const again = await runtime.start(wanted);
    assert.deepEqual([again.id, again.running], [id, true]);
  });

  test('a command that does not exist fails the start or exits with 127, with the reason in the log', async () => {
    const wanted = request('', { command: ['/no/such/program'] });
    // With an init in front the container starts and exits at once; the engine may also refuse to start it.
    const state = await runtime.start(wanted).catch((error: OrkestrError) => error);
    if (state instanceof Error) assert.equal(state.code, 'ORK_START_FAILED');
    else assert.equal((await ended(wanted.name)).exitCode, 127);
    assert.match((await runtime.tail(wanted.name, 10)).join('\n'), /no such file|not found|No such/i);
  });

  test('a missing image is a failed start', async () => {
    const wanted = request('true', { imageId: `sha256:${'0'.repeat(64)}` });
    await assert.rejects(runtime.start(wanted), (error: OrkestrError) => error.code === 'ORK_START_FAILED');
  });

  test('the exit code and last lines of an exited app can be read', async () => {
    const wanted = request('echo one; echo two >&2; echo three; exit 3');
    await runtime.start(wanted);
    const state = await ended(wanted.name);
    assert.deepEqual([state.exitCode, state.oomKilled, state.address, state.pid], [3, false, null, null]);
    assert.deepEqual(new Set(await runtime.tail(wanted.name, 10)), new Set(['one', 'two', 'three']));
    assert.equal((await runtime.tail(wanted.name, 2)).length, 2);
  });

  test('an app that the kernel killed for memory is distinguished from one killed by a signal', async () => {
    const hungry = request('tail /dev/zero');
    await runtime.start(hungry);
    const state = await ended(hungry.name);
    assert.deepEqual([state.exitCode, state.oomKilled], [137, true]);
    const killed = request('kill -9 $$');
    await runtime.start(killed);
    const other = await ended(killed.name);
    assert.deepEqual([other.exitCode, other.oomKilled], [137, false]);
  });

  test('a child killed for memory is detected while the app keeps running', async () => {
    const wanted = request('tail /dev/zero; sleep 1000');
    await runtime.start(wanted);
    await until(async () => (await runtime.inspect(wanted.name))?.oomKilled === true);
    const state = await runtime.inspect(wanted.name);
    assert.deepEqual([state?.running, state?.oomKilled], [true, true]);
  });

  test('the last lines and the environment values of a container can be read after it has stopped', async () => {
    const wanted = request('trap "echo $KEY; exit 1" TERM; while :; do sleep 0.1; done', { env: { KEY: 'a=b' } });
    await runtime.start(wanted);
    await runtime.stop(wanted.name, 10);
    assert.deepEqual(await runtime.tail(wanted.name, 5), ['a=b']);
    assert.ok((await runtime.variables(wanted.name)).includes('a=b'));
    assert.equal((await runtime.inspect(wanted.name))?.exitCode, 1);
    assert.deepEqual(await runtime.variables('orkestr-nobody'), []);
  });

  test('a container gets SIGTERM, then SIGKILL after the grace period, and is removed', async () => {
    const stubborn = request('trap "" TERM; while :; do sleep 0.1; done');
    await runtime.start(stubborn);
    await runtime.stopAndRemove(stubborn.name, 1);
    assert.equal(await runtime.inspect(stubborn.name), null);
    await runtime.stopAndRemove(stubborn.name, 1); // a no-op
  });

  test('exec returns the exit code and truncated output, and kills a command that runs out of time', async () => {
    const wanted = request('sleep 1000');
    await runtime.start(wanted);
    assert.deepEqual(await shell(wanted.name, 'echo hi; exit 4'), { exitCode: 4, output: 'hi\n' });
    const loud = await shell(wanted.name, 'head -c 300000 /dev/zero | tr "\\0" x');
    assert.ok(loud.output.length > 10_000 && loud.output.length < 20_000);
    assert.equal((await runtime.exec(wanted.name, ['sleep', '777'], 300)).exitCode, 124);
    const running = async (): Promise<string> =>
      (await shell(wanted.name, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "')).output;
    await until(async () => !(await running()).includes('sleep 777'));
    assert.match(await running(), /sleep 1000/);
  });

  test("the sockets of an app are read from outside, without those of Docker's resolver", async () => {
    const wanted = request(
      'exec perl -MIO::Socket::INET -e \'$s=IO::Socket::INET->new(LocalAddr=>"127.0.0.1",LocalPort=>3000,Listen=>5) or die; sleep 1000\'',
    );
    await runtime.start(wanted);
    await until(async () => (await runtime.listeners(wanted.name)).length > 0);
    assert.deepEqual(await runtime.listeners(wanted.name), [{ address: '127.0.0.1', port: 3000 }]);
  });

  test('an app reaches neither host ports, link-local addresses nor other projects, but the host reaches the app', async (t) => {
    const server = createServer((socket) => socket.end('open')).listen(0, '0.0.0.0');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await openMetadataService(t);
    const listening =
      'exec perl -MIO::Socket::INET -e \'$s=IO::Socket::INET->new(LocalPort=>8080,Listen=>5) or die; while($c=$s->accept){print $c "app"; close $c}\'';
    const [app, friend, stranger] = [
      request('sleep 1000'),
      request(listening),
      request(listening, { networkName: otherNetwork }),
    ];
    await runtime.start(app);
    const [near, far] = [await runtime.start(friend), await runtime.start(stranger)];
    await reachableFromHost(near.address ?? '', 8080);
    await reachableFromHost(far.address ?? '', 8080);

    const gateway = (near.address ?? '').replace(/\.\d+$/, '.1');
    const hostAddress = await outgoingAddress();
    const tries = [
      ['friend', near.address, 8080],
      ['stranger', far.address, 8080],
      ['gateway', gateway, port],
      ['host', hostAddress, port],
      ['docker0', '172.17.0.1', port],
      ['metadata', '169.254.169.254', 80],
    ] as const;
    const script = tries
      .map(
        ([name, address, number]) =>
          `timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/${number}; cat <&3' 2>/dev/null && echo ' ${name}=yes' || echo ' ${name}=no'`,
      )
      .join('; ');
    const seen = (await shell(app.name, script)).output;
    assert.match(seen, /app friend=yes/);
    for (const closed of ['stranger', 'gateway', 'host', 'docker0', 'metadata'])
      assert.match(seen, new RegExp(`${closed}=no`));
    // The embedded resolver answers for names of the project.
    assert.match((await shell(app.name, `getent hosts ${friend.name}`)).output, new RegExp(near.address ?? 'none'));
  });

  test('a network is removed once nothing is attached, and stays until then', async () => {
    const bridge = `/sys/class/net/${bridgeName(scope, networkName)}`;
    await runtime.removeNetwork(networkName);
    assert.ok(existsSync(bridge));
    for (const name of made) await runtime.stopAndRemove(name, 0);
    await runtime.removeNetwork(networkName);
    assert.ok(!existsSync(bridge));
    await runtime.removeNetwork(networkName);
  });

  test('apps reach a container of the owner by its alias, and their network stays for it, running or stopped', async (t) => {
    const bridge = `/sys/class/net/${bridgeName(scope, otherNetwork)}`;
    const app = request('sleep 1000', { networkName: otherNetwork });
    await runtime.start(app);
    const database = await engine.call('make a foreign one', (docker) =>
      docker.createContainer({
        name: `foreign-${randomUUID()}`,
        Image: IMAGE,
        Cmd: ['sleep', '1000'],
        HostConfig: { NetworkMode: otherNetwork },
        NetworkingConfig: { EndpointsConfig: { [otherNetwork]: { Aliases: ['db'] } } },
      }),
    );
    t.after(() => database.remove({ force: true }).catch(() => undefined)); // removed by the test, if it passes
    await database.start();
    assert.equal((await shell(app.name, 'getent hosts db')).exitCode, 0);
    for (const name of made) await runtime.stopAndRemove(name, 0);
    await runtime.removeNetwork(otherNetwork);
    assert.ok(existsSync(bridge), 'it runs');
    await database.kill();
    await database.wait();
    await runtime.removeNetwork(otherNetwork);
    await database.start(); // fails without its network
    await database.remove({ force: true });
    await runtime.removeNetwork(otherNetwork);
    assert.ok(!existsSync(bridge));
  });
});

async function reachableFromHost(address: string, port: number): Promise<void> {
  const answers = async (): Promise<boolean> => {
    const socket = connect({ host: address, port });
    try {
      const [data] = (await once(socket, 'data', { signal: AbortSignal.timeout(2000) })) as [Buffer];
      return String(data) === 'app';
    } catch {
      return false; // it is starting
    } finally {
      socket.destroy();
    }
  };
  await until(answers, `${address}:${port} is reachable from the host`);
}

/** The host's own address on its outgoing interface, at which a port on 0.0.0.0 is reachable. */
async function outgoingAddress(): Promise<string> {
  const text = await readFile('/proc/net/fib_trie', 'utf8');
  const own = [...text.matchAll(/(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/g)].map((match) => match[1] ?? '');
  return own.find((address) => !address.startsWith('127.') && !address.startsWith('172.')) ?? '127.0.0.1';
}

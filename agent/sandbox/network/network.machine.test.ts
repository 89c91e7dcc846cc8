/** A sandbox's network without its engine: a process inside can reach exactly what a RUN step can. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import {
  type Ending,
  makeEndings,
  openMetadataService,
  openRemoteHost,
  serveIn,
} from '../../firewall/test-remote-host.ts';
import { until } from '../../../test/harness/until.ts';
import { type Exec, exec, run } from '../../lib/exec.ts';
import { hostAddresses } from '../../lib/host-network.ts';
import { SANDBOX_BRIDGE } from './namespace.ts';
import { type SandboxNetwork, makeSandboxNetwork } from './network.ts';
import { subnetAt } from './pair-subnet.ts';

const scope = (): string => randomBytes(4).toString('hex');
const ip = (...args: string[]): Promise<unknown> => run('ip', args, { timeoutMs: 10_000 });

/** Whether a TCP connection from inside `network`, with source address `from`, is accepted. */
async function reaches(network: SandboxNetwork, host: string, port: number, from?: string): Promise<boolean> {
  const to = JSON.stringify({ host, port, localAddress: from });
  const script = `const end = (code) => process.exit(code); setTimeout(end, 2500, 1);
    require('node:net').connect(${to}).on('connect', () => end(0)).on('error', () => end(1));`;
  const argv = [`--net=${network.namespacePath}`, '--', process.execPath, '-e', script];
  return (await exec('nsenter', argv, { timeoutMs: 10_000 })).exitCode === 0;
}

test('subnets of four addresses fill 198.18.0.0/16 and do not leave it', () => {
  assert.deepEqual(
    [0, 1, 63, 64, 16_383].map((index) => subnetAt(index)),
    ['198.18.0.0', '198.18.0.4', '198.18.0.252', '198.18.1.0', '198.18.255.252'],
  );
});

describe('a process in the network of a sandbox', () => {
  const name = scope();
  const network = makeSandboxNetwork(name, exec);
  const internet = `198.51.100.${randomBytes(1).readUInt8() | 3}`;
  const endings = makeEndings();
  let hostPort = 0;

  before(async () => {
    const server = createServer((socket) => socket.end()).listen(0, '::');
    endings.after(async () => server.close());
    await once(server, 'listening');
    hostPort = (server.address() as AddressInfo).port;
    await openRemoteHost(endings, internet, 'world');
    await network.ensure();
  });

  after(async () => {
    await network.remove();
    await network.remove();
    await endings.end();
    assert.ok(!existsSync(network.namespacePath) && !existsSync(`/sys/class/net/ob${name}`));
    for (const program of ['iptables-save', 'ip6tables-save']) {
      const { stdout } = await run(program, [], { timeoutMs: 10_000, maxOutputBytes: 1_000_000 });
      assert.doesNotMatch(stdout, new RegExp(name));
    }
  });

  /** Addresses of the host, except loopback, on which `hostPort` is reachable. */
  const openDoors = async (): Promise<string[]> => {
    const doors = (await hostAddresses()).filter((own) => own.name !== 'lo').map(({ address }) => address);
    const open = await Promise.all(doors.map((address) => reaches(network, address, hostPort)));
    return doors.filter((_, index) => open[index]);
  };

  test('reaches a machine beyond the host, but the host at none of its addresses', async () => {
    assert.ok(await reaches(network, internet, 80));
    assert.deepEqual(await openDoors(), []);
  });

  test('has no way out before its rules exist', async (t) => {
    const own = makeSandboxNetwork(scope(), exec);
    t.after(() => own.remove());
    await own.connect();
    assert.ok(!(await reaches(own, internet, 80)));
    await own.ensure();
    assert.ok(await reaches(own, internet, 80));
  });

  test("has the same access from the engine's bridge, and connecting twice gives one network", async (t) => {
    const own = makeSandboxNetwork(scope(), exec);
    t.after(() => own.remove());
    await own.connect();
    await own.ensure();
    const namespace = own.namespacePath.split('/').at(-1) ?? '';
    await ip('-n', namespace, 'link', 'add', 'bridge', 'up', 'type', 'bridge');
    await ip('-n', namespace, 'addr', 'add', SANDBOX_BRIDGE, 'dev', 'bridge');
    const [address = ''] = SANDBOX_BRIDGE.split('/');
    assert.ok(await reaches(own, internet, 80, address));
    assert.ok(!(await reaches(own, (await own.ends()).host, hostPort, address)));
  });

  test("reaches the name server behind the host's own one on loopback", async (t) => {
    const own = makeSandboxNetwork(scope(), exec, async () => ({ loopback: ['127.0.0.53'], reachable: [internet] }));
    t.after(() => own.remove());
    await own.ensure();
    await own.ensure();
    const script = `const end = (code) => process.exit(code); setTimeout(end, 2500, 1);
      const socket = require('node:dgram').createSocket('udp4');
      socket.on('message', () => end(0)).on('error', () => end(1)).send('who?', 53, '127.0.0.53');`;
    const ask = async ({ namespacePath }: SandboxNetwork): Promise<number | null> =>
      (await exec('nsenter', [`--net=${namespacePath}`, '--', process.execPath, '-e', script], { timeoutMs: 10_000 }))
        .exitCode;
    assert.deepEqual([await ask(own), await ask(network)], [0, 1]);
  });

  test('cannot send from another source address', async () => {
    const dropped = async (): Promise<number> => {
      const argv = ['-w', '10', '-t', 'mangle', '-v', '-S', `ORKESTR-${name}-BFWD`];
      const { stdout } = await run('iptables', argv, { timeoutMs: 10_000 });
      return Number(/^.* ! -s 198\.18\.\S+ .*-c (\d+) /m.exec(stdout)?.[1]);
    };
    assert.equal(await dropped(), 0);
    // An IPv4 header (RFC 791) and an empty datagram for port 7; the kernel fills in the rest.
    const script = `import socket, struct
target = socket.inet_aton("${internet}")
packet = struct.pack("!BBHHHBBH4s4sHHHH", 0x45, 0, 28, 0, 0, 64, 17, 0, socket.inet_aton("192.0.2.77"), target, 7, 7, 8, 0)
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(packet, ("${internet}", 0))`;
    await run('nsenter', [`--net=${network.namespacePath}`, '--', 'python3', '-c', script], { timeoutMs: 10_000 });
    assert.equal(await dropped(), 1);
  });

  test('does not reach the metadata service', async (t) => {
    await openMetadataService(t);
    assert.ok(!(await reaches(network, '169.254.169.254', 80)));
  });

  test('does not reach another sandbox, nor a container on a bridge with any name', async (t) => {
    const other = makeSandboxNetwork(scope(), exec);
    t.after(() => other.remove());
    await other.ensure();
    const slot = (await other.ends()).engine;
    serveIn(t, other.namespacePath.split('/').at(-1) ?? '', `require('node:net').createServer().listen(8080)`);
    await until(() => reaches(other, slot, 8080), 'it listens');
    assert.ok(!(await reaches(network, slot, 8080)));

    await moveBehindBridge(t, internet);
    await network.ensure();
    assert.ok(!(await reaches(network, internet, 80)));
  });

  test('reaches one port of the host and nothing else while restricted, and everything again afterwards', async () => {
    const { host } = await network.ends();
    await network.restrictTo(hostPort);
    const seen = await Promise.all([reaches(network, host, hostPort), reaches(network, internet, 80)]);
    assert.deepEqual(seen, [true, false]);
    assert.deepEqual(await openDoors(), [host]);
    await network.restrictTo(hostPort === 9 ? 10 : 9);
    assert.ok(!(await reaches(network, host, hostPort)));
    await network.ensure();
    assert.deepEqual(await Promise.all([reaches(network, host, hostPort), reaches(network, internet, 80)]), [
      false,
      true,
    ]);
  });
});

test('a network whose creation was interrupted at any point is complete after the next try', async (t) => {
  for (let calls = 1, isDone = false; !isDone; calls += 1) {
    const name = scope();
    let left = calls;
    const dying: Exec = async (program, args, options) => {
      if (program === 'ip' && left-- === 0) throw new Error('killed');
      return exec(program, args, options);
    };
    isDone = await makeSandboxNetwork(name, dying)
      .ensure()
      .then(
        () => true,
        () => false,
      );
    const network = makeSandboxNetwork(name, exec);
    t.after(() => network.remove());
    await network.ensure();
    const { stdout } = await run('ip', ['-n', `orkb-${name}`, 'addr', 'show', 'eth0'], { timeoutMs: 10_000 });
    assert.ok(stdout.includes(`${(await network.ends()).engine}/30`), `after ${calls} calls`);
    await network.remove();
  }
});

test('rules that were flushed between two builds are restored before the second', async (t) => {
  const name = scope();
  const network = makeSandboxNetwork(name, exec);
  t.after(() => network.remove());
  const rules = async (): Promise<string[]> => {
    const { stdout } = await run('iptables-save', [], { timeoutMs: 10_000, maxOutputBytes: 1_000_000 });
    return stdout.split('\n').filter((line) => line.startsWith('-A') && line.includes(name));
  };
  await network.ensure();
  await network.ensure();
  const all = await rules();
  for (const table of ['mangle', 'filter', 'nat']) {
    const chain = table === 'nat' ? 'BNAT' : 'BFWD';
    await run('iptables', ['-w', '10', '-t', table, '-F', `ORKESTR-${name}-${chain}`], { timeoutMs: 10_000 });
  }
  assert.ok((await rules()).length < all.length);
  await network.ensure();
  assert.deepEqual(await rules(), all);
});

/** Routes `address` over a bridge until the test ends, like that of a container. */
async function moveBehindBridge(t: Ending, address: string): Promise<void> {
  const gateway = address.replace(/\d+$/, (last) => String(Number(last) - 1));
  const { name = '' } = (await hostAddresses()).find((own) => own.address === gateway) ?? {};
  const bridge = `gst${scope()}`;
  t.after(async () => {
    await ip('link', 'delete', bridge);
    await ip('addr', 'add', gateway, 'peer', address, 'dev', name);
  });
  await ip('link', 'add', bridge, 'type', 'bridge');
  await ip('addr', 'del', gateway, 'peer', address, 'dev', name);
  await ip('link', 'set', name, 'master', bridge);
  await ip('link', 'set', bridge, 'up');
  await ip('addr', 'add', gateway, 'peer', address, 'dev', bridge);
  await connects(address);
}

/** The host itself can connect over the bridge. */
async function connects(host: string): Promise<void> {
  const socket = connect({ host, port: 80 });
  await once(socket, 'connect', { signal: AbortSignal.timeout(5000) });
  socket.destroy();
}

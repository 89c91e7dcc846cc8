import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { until } from '../../test/harness/until.ts';
import { exec, type Exec, run } from '../lib/exec.ts';
import { lacksOf, makeChainKeeper, removeChain } from '../lib/iptables.ts';
import type { Chain } from '../lib/iptables.ts';
import { makeFirewall } from './firewall.ts';
import { serveIn } from './test-remote-host.ts';

/** Rules of both families that contain `word`, with their counts. */
async function rules(word: string): Promise<string[]> {
  const texts = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map((program) =>
      run(program, [], { timeoutMs: 10_000, maxOutputBytes: 1_000_000 }),
    ),
  );
  return texts.flatMap(({ stdout }) =>
    stdout.split('\n').filter((line) => line.startsWith('-A') && line.includes(word)),
  );
}

test('rules exist once however often they are ensured, come back when lost, and are removed without a trace', async (t) => {
  const scope = randomBytes(4).toString('hex');
  const firewall = makeFirewall({ scope });
  t.after(() => firewall.remove());
  await Promise.all([firewall.ensure(), firewall.ensure()]);
  await firewall.ensure();
  const all = await rules(scope);
  await firewall.ensure();
  assert.deepEqual(await rules(scope), all);
  const jumps = await rules(`ork${scope.slice(0, 4)}+`);
  assert.deepEqual(
    jumps.filter((line) => / -j ORKESTR-/.test(line)).map((line) => line.split(' ')[1]),
    ['INPUT', 'FORWARD', 'INPUT', 'FORWARD'],
  );

  const match = ['-i', `ork${scope.slice(0, 4)}+`, '-j', `ORKESTR-${scope}`];
  await run('iptables', ['-w', '10', '-t', 'mangle', '-D', 'INPUT', ...match], { timeoutMs: 10_000 });
  await run('iptables', ['-w', '10', '-t', 'mangle', '-F', `ORKESTR-${scope}`], { timeoutMs: 10_000 });
  await firewall.ensure();
  assert.deepEqual(new Set(await rules(scope)), new Set(all));

  await firewall.remove();
  await firewall.remove();
  assert.deepEqual(await rules(scope), []);
});

test('ensuring the rules fails with ORK_FIREWALL on a host without iptables', async () => {
  const firewall = makeFirewall({
    scope: randomBytes(4).toString('hex'),
    exec: (program) => Promise.reject(new Error(`spawn ${program} ENOENT`)),
  });
  await assert.rejects(firewall.ensure(), {
    code: 'ORK_FIREWALL',
    message: /rules that isolate apps: spawn ip6?tables-save ENOENT/,
  });
});

test('nothing is written while the rules are intact, and a changed rule is restored', async (t) => {
  const scope = randomBytes(4).toString('hex');
  const ran: string[] = [];
  const recording: Exec = (program, args, options) => {
    ran.push(program);
    return exec(program, args, options);
  };
  const firewall = makeFirewall({ scope, exec: recording });
  t.after(() => firewall.remove());
  const writes = async (): Promise<number> => {
    ran.length = 0;
    await firewall.ensure();
    return ran.filter((program) => program.endsWith('-restore')).length;
  };
  assert.deepEqual([await writes(), await writes()], [2, 0]);
  const all = await rules(scope);

  // As many rules as before, but one of them accepts what it should drop.
  const iptables = (...args: string[]) => run('iptables', ['-w', '10', '-t', 'mangle', ...args], { timeoutMs: 10_000 });
  await iptables('-R', `ORKESTR-${scope}`, '2', '-j', 'ACCEPT');
  assert.deepEqual(await firewall.lacks(), [
    `iptables -t mangle: chain ORKESTR-${scope} has "-j ACCEPT" where "-j DROP" belongs`,
  ]);
  assert.deepEqual([await writes(), await writes()], [1, 0]);
  assert.deepEqual(await rules(scope), all);
});

test('a foreign rule before ours is reported, and ours is moved to the front again', async (t) => {
  const scope = randomBytes(4).toString('hex');
  const firewall = makeFirewall({ scope });
  t.after(() => firewall.remove());
  await firewall.ensure();
  assert.deepEqual(await firewall.lacks(), []);
  const foreign = ['INPUT', '-i', `nobody${scope}`, '-j', 'ACCEPT'];
  const iptables = (...args: string[]) => run('iptables', ['-w', '10', '-t', 'mangle', ...args], { timeoutMs: 10_000 });
  await iptables('-I', ...foreign);
  t.after(() => iptables('-D', ...foreign));
  assert.deepEqual(await firewall.lacks(), [
    `iptables -t mangle: "-A ${foreign.join(' ')}" comes before the way to chain ORKESTR-${scope}`,
  ]);
  await firewall.ensure();
  assert.deepEqual(await firewall.lacks(), []);
  assert.equal((await rules(`-j ORKESTR-${scope}`)).length, 4, 'it was moved');
});

test('a rule is recognized even if the kernel lists it in another form than it was added in', async (t) => {
  const scope = randomBytes(4).toString('hex');
  const words = ['-p', 'tcp', '--dport', '53', '-m', 'conntrack', '--ctstate', 'ESTABLISHED,NEW', '-j', 'DROP'];
  const chain: Chain = {
    version: 4,
    table: 'mangle',
    name: `ORKESTR-${scope}-T`,
    rules: [words, ['-j', 'RETURN']],
    jump: { from: 'FORWARD', match: ['-i', `none${scope}`] },
  };
  t.after(() => removeChain(chain, exec));
  await makeChainKeeper(exec).ensure([chain]);
  assert.deepEqual(await lacksOf([chain], exec), []);
  const udp = words.map((word) => (word === 'tcp' ? 'udp' : word));
  assert.match((await lacksOf([{ ...chain, rules: [udp, ['-j', 'RETURN']] }], exec)).join(), /has "-p tcp .* belongs$/);
});

/** Addresses of the host and of an app on it, in a network for documentation (RFC 5737). */
const [HOST, APP] = ['203.0.113.1', '203.0.113.2'] as const;
const PORTS = ['tcp 80', 'tcp 443', 'tcp 22', 'tcp 8080', 'udp 443'] as const;

const SERVERS = PORTS.map((place) => {
  const [kind, port] = place.split(' ');
  return kind === 'tcp'
    ? `require('node:net').createServer((socket) => socket.end()).listen(${port});`
    : `const udp = require('node:dgram').createSocket('udp4'); udp.on('message', (m, from) => udp.send(m, from.port, from.address)).bind(${port});`;
}).join('\n');

/** Prints the places of the host that answer an app, one per line. */
const PROBE = `
  const later = (work) => setTimeout(work, 1000);
  for (const place of ${JSON.stringify(PORTS)}) {
    const [kind, port] = place.split(' ');
    const answered = () => console.log(place);
    if (kind === 'tcp') {
      const socket = require('node:net').connect(Number(port), '${HOST}', answered).on('error', () => {});
      later(() => socket.destroy());
    } else {
      const socket = require('node:dgram').createSocket('udp4').on('message', answered);
      socket.send('x', Number(port), '${HOST}');
      later(() => socket.close());
    }
  }`;

/** A host in a network namespace, with servers at {@link PORTS}, and an app of this scope on it in another one. */
async function hostWithApp(t: TestContext, scope: string) {
  const ip = (...args: string[]): Promise<unknown> => run('ip', args, { timeoutMs: 10_000 });
  const [host, app] = [`orkhost-${scope}`, `orkapp-${scope}`];
  for (const namespace of [host, app]) {
    t.after(() => exec('ip', ['netns', 'delete', namespace], { timeoutMs: 10_000 }));
    await ip('netns', 'add', namespace);
  }
  const bridge = `ork${scope.slice(0, 4)}-${scope.slice(4)}`;
  await ip('-n', host, 'link', 'add', bridge, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', app);
  await ip('-n', host, 'addr', 'add', `${HOST}/24`, 'dev', bridge);
  await ip('-n', app, 'addr', 'add', `${APP}/24`, 'dev', 'eth0');
  await ip('-n', host, 'link', 'set', bridge, 'up');
  await ip('-n', app, 'link', 'set', 'eth0', 'up');
  serveIn(t, host, SERVERS);
  const into =
    (namespace: string): Exec =>
    (program, args, options) =>
      exec('nsenter', [`--net=/run/netns/${namespace}`, '--', program, ...args], options);
  const reached = async (): Promise<string[]> => {
    const { stdout } = await run(process.execPath, ['-e', PROBE], { timeoutMs: 20_000 }, into(app));
    return stdout.split('\n').filter((line) => line !== '');
  };
  return { onHost: into(host), reached };
}

test("an app reaches no port of its host, and only TCP ports 80 and 443 if the host's owner allows it", async (t) => {
  const scope = randomBytes(4).toString('hex');
  const { onHost, reached } = await hostWithApp(t, scope);
  // The positive control: without rules, all of it answers.
  await until(async () => (await reached()).length === PORTS.length, 'the host answers');
  const closed = makeFirewall({ scope, exec: onHost });
  await closed.ensure();
  assert.deepEqual(await reached(), []);
  const open = makeFirewall({ scope, exec: onHost, appsReachEdge: true });
  assert.match((await open.lacks()).join(), /has 2 of 4 rules/);
  await open.ensure();
  assert.deepEqual(await open.lacks(), []);
  await until(async () => (await reached()).length === 2, 'ports 80 and 443 answer');
  assert.deepEqual((await reached()).toSorted(), ['tcp 443', 'tcp 80']);
  await closed.ensure();
  assert.deepEqual(await reached(), []);
});

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { exec, type Exec, run } from '../lib/exec.ts';
import { lacksOf, makeChainKeeper, removeChain } from '../lib/iptables.ts';
import type { Chain } from '../lib/iptables.ts';
import { makeFirewall } from './firewall.ts';

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

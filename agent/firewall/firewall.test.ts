import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { run } from '../lib/exec.ts';
import { makeFirewall } from './firewall.ts';

/** Rules of both families that name `word`, with how often each stands there. */
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

test('rules stand once however often they are ensured, come back when lost, and go without a trace', async (t) => {
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dockerRules } from './docker-rules.ts';

/** Output of iptables with Docker Engine 20.10, and with 28. */
const OLD = ['-P FORWARD DROP', '-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-ISOLATION-STAGE-1', ''];
const NEW = ['-P FORWARD ACCEPT', '-A FORWARD -j DOCKER-USER', '-A FORWARD -j DOCKER-FORWARD', ''];
const NAT = [
  '-P POSTROUTING ACCEPT',
  '-A POSTROUTING -s 172.18.0.0/16 ! -o ork1a2b-1234567 -j MASQUERADE',
  '-A POSTROUTING -s 172.19.0.0/16 ! -o ork1a2b-89abcde -j MASQUERADE',
  '',
];
const SUBNETS = ['172.18.0.0/16', '172.19.0.0/16'];

function lacking(forward: readonly string[], nat: readonly string[], subnets = SUBNETS): readonly string[] | 'skipped' {
  const verdict = dockerRules.judge({ forward, nat, subnets });
  return 'skipped' in verdict ? 'skipped' : verdict.findings.flatMap(({ evidence = [] }) => evidence);
}

test('rules that Docker Engine has set are seen, those of older and of newer ones', () => {
  for (const forward of [OLD, NEW]) assert.deepEqual(lacking(forward, NAT), []);
});

test('what was flushed is told, each table by itself', () => {
  assert.deepEqual(lacking(OLD, NAT.slice(0, 1)), [
    'no rule in POSTROUTING of the table nat masquerades 172.18.0.0/16',
    'no rule in POSTROUTING of the table nat masquerades 172.19.0.0/16',
  ]);
  assert.deepEqual(lacking(OLD, NAT.toSpliced(2, 1)), [
    'no rule in POSTROUTING of the table nat masquerades 172.19.0.0/16',
  ]);
  assert.deepEqual(lacking(['-P FORWARD DROP'], NAT), ['no rule in FORWARD leads to chains of Docker']);
});

test('a subnet whose name begins like that of another is not taken for it', () => {
  assert.equal(lacking(NEW, NAT, ['172.18.0.0/1']).length, 1);
});

test('without a network of a project, or with rules that iptables does not tell, nothing is said', () => {
  assert.equal(lacking(['-P FORWARD DROP'], [], []), 'skipped');
  assert.deepEqual(Object.keys(dockerRules.judge(null)), ['skipped']);
});

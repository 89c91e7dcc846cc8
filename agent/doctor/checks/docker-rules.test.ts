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

test('the check finds the rules of older and of newer Docker Engines', () => {
  for (const forward of [OLD, NEW]) assert.deepEqual(lacking(forward, NAT), []);
});

test('the check reports the missing rules of each table separately', () => {
  assert.deepEqual(lacking(OLD, NAT.slice(0, 1)), [
    'no rule in POSTROUTING of the table nat masquerades 172.18.0.0/16',
    'no rule in POSTROUTING of the table nat masquerades 172.19.0.0/16',
  ]);
  assert.deepEqual(lacking(OLD, NAT.toSpliced(2, 1)), [
    'no rule in POSTROUTING of the table nat masquerades 172.19.0.0/16',
  ]);
  assert.deepEqual(lacking(['-P FORWARD DROP'], NAT), ['no rule in FORWARD leads to chains of Docker']);
});

test('a subnet is not confused with another one that begins with the same characters', () => {
  assert.equal(lacking(NEW, NAT, ['172.18.0.0/1']).length, 1);
});

test('the check is skipped without a project network or if iptables cannot list the rules', () => {
  assert.equal(lacking(['-P FORWARD DROP'], [], []), 'skipped');
  assert.deepEqual(Object.keys(dockerRules.judge(null)), ['skipped']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readRules } from '../nft-rules.ts';
import { nftables } from './nftables.ts';

/** The format of nft 1.0.6: `nft -j -t list ruleset`. */
const place = { family: 'inet', table: 'owner' };
const base = (hook: string, policy: string, name = hook, table = place.table): object => ({
  chain: { ...place, table, name, handle: 1, type: 'filter', hook, prio: 0, policy },
});
const chain = (name: string): object => ({ chain: { ...place, name, handle: 2 } });
const rule = (of: string, ...expr: object[]): object => ({ rule: { ...place, chain: of, handle: 3, expr } });
const match = (left: object, right: unknown, op = '=='): object => ({ match: { op, left, right } });
const meta = (key: string): object => ({ meta: { key } });
const tcp = { payload: { protocol: 'tcp', field: 'dport' } };
const state = { ct: { key: 'state' } };
const accept = { accept: null };
const replies = match(state, ['established', 'related'], 'in');
/** Typical rules of hosts that accept visitors and ssh, and traffic from builds to their proxy. */
const INPUT = [
  base('input', 'drop'),
  rule('input', { vmap: { key: state, data: { set: [['established', accept]] } } }),
  rule('input', match(meta('iif'), 'lo'), accept),
  rule('input', match(meta('l4proto'), 'ipv6-icmp'), accept),
  rule('input', match({ payload: { protocol: 'udp', field: 'dport' } }, { range: [1, 500] }), accept),
];
const OPEN = [...INPUT, rule('input', match(tcp, { set: [22, { range: [80, 443] }] }), accept), fromBuilds('input')];

function fromBuilds(name: string): object {
  return rule(name, match(meta('iifname'), 'ob*'), { counter: { packets: 0, bytes: 0 } }, accept);
}

function found(...nftables_: object[]): unknown[] {
  const rules = readRules(JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, ...nftables_] }));
  const outcome = nftables.judge({ rules, ports: [80, 443] });
  return 'skipped' in outcome ? [] : outcome.findings.map(({ problem, values }) => [problem, values?.['ports']]);
}

test('the check accepts rules of the owner that let in visitors and builds', () => {
  assert.deepEqual(found(), []);
  assert.deepEqual(found(...OPEN), []);
  assert.deepEqual(found(base('input', 'accept'), base('forward', 'accept')), []);
  assert.deepEqual(found(base('input', 'drop', 'INPUT'), base('forward', 'drop', 'FORWARD')), [], 'of iptables');
  assert.deepEqual(found(base('input', 'drop', 'filter_INPUT', 'firewalld')), []);
});

test('the check reports the ports for visitors that no rule opens, however other ports are opened', () => {
  const closed = (...more: object[]): unknown[] => found(...INPUT, fromBuilds('input'), ...more);
  assert.deepEqual(closed(), [['visitors', '80,443']]);
  assert.deepEqual(closed(rule('input', match(tcp, 80), accept)), [['visitors', '443']]);
  assert.deepEqual(closed(rule('input', match(tcp, [22, 443], '!='), accept)), [['visitors', '443']]);
  const byMap = {
    vmap: {
      key: tcp,
      data: {
        set: [
          [80, { jump: { target: 'web' } }],
          [22, accept],
        ],
      },
    },
  };
  assert.deepEqual(closed(rule('input', byMap), chain('web'), rule('web', accept)), [['visitors', '443']]);
  assert.deepEqual(closed(rule('input', byMap), chain('web'), rule('web', { drop: null })), [['visitors', '80,443']]);
  const rejects = [base('input', 'accept'), fromBuilds('input'), rule('input', { counter: null }, { reject: null })];
  assert.deepEqual(found(...rejects), [['visitors', '80,443']]);
});

test('the check assumes that rules it does not understand let packets in', () => {
  for (const more of [
    rule('input', match(tcp, '@web'), accept),
    rule('input', match(meta('iifname'), 'eth0'), accept),
    rule('input', match({ payload: { protocol: 'ip', field: 'saddr' } }, '192.0.2.1'), accept),
    rule('input', { vmap: { key: tcp, data: '@web' } }),
  ])
    assert.deepEqual(found(...INPUT, fromBuilds('input'), more), []);
});

test('the check reports a host that forwards nothing until rules let through what builds and apps send', () => {
  const forward = [base('forward', 'drop'), rule('forward', replies, accept)];
  const vpn = rule('forward', match(meta('iifname'), 'wg0'), accept);
  assert.deepEqual(found(...OPEN, ...forward, vpn), [['outwards', undefined]]);
  assert.deepEqual(found(...OPEN, ...forward, fromBuilds('forward')), [['outwards', undefined]], 'apps are not');
  const apps = rule('forward', match(meta('iifname'), 'ork*'), accept);
  assert.deepEqual(found(...OPEN, ...forward, fromBuilds('forward'), apps), []);
  assert.deepEqual(found(...OPEN, ...forward, rule('forward', match(meta('oifname'), 'eth0'), accept)), []);
});

test('the check reports builds with an allow-list that cannot reach their proxy on the host', () => {
  assert.deepEqual(found(...INPUT, rule('input', match(tcp, { range: [80, 443] }), accept)), [['builds', undefined]]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { makeJudge } from './address-kind.ts';

const own = [
  { name: 'lo', address: '127.0.0.1', bits: 8 },
  { name: 'eth0', address: '203.0.113.9', bits: 24 },
  { name: 'eth0', address: '2001:db8::9', bits: 64 },
  { name: 'eth1', address: '10.9.0.2', bits: 24 },
  { name: 'br-1', address: '172.20.0.1', bits: 16 },
];
const judge = makeJudge(own, ['br-1']);
const of = (kind: string, addresses: readonly string[]): void =>
  assert.deepEqual(
    addresses.map((address) => [address, judge(address)]),
    addresses.map((address) => [address, kind]),
  );

test('addresses of the host and of its containers are never dialled; those of its neighbours may be', () => {
  of('never', ['127.0.0.1', '203.0.113.9', '2001:db8::9', '10.9.0.2', '172.20.0.1', '172.20.3.4']);
  of('private', ['10.9.0.3', '172.21.0.1', '192.168.1.1', '100.64.0.1', 'fd12::1']);
  of('public', ['203.0.113.10', '2001:db8::a', '8.8.8.8']);
});

test('loopback, link-local, multicast, metadata services and the sandboxes are never dialled', () => {
  of('never', [
    '127.8.9.1',
    '0.0.0.0',
    '169.254.169.254',
    '100.100.100.200',
    '224.0.0.1',
    '255.255.255.255',
    '198.18.0.1',
  ]);
  of('never', [
    '::',
    '::1',
    'fe80::1',
    'fe80::1%eth0',
    'ff02::1',
    'fd00:ec2::254',
    '2002:7f00:1::',
    '::7f00:1',
    '64:ff9b:1::1',
  ]);
});

test('text that is not an address is never dialled', () => {
  of('never', ['', 'localhost', '127.1', '0x7f.0.0.1', '2130706433', '127.0.0.1 ', '[::1]']);
});

test('an IPv4 address gets the same judgement when it is written as IPv6', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
      const hex = [a * 256 + b, c * 256 + d].map((number) => number.toString(16)).join(':');
      const kinds = [`::ffff:${address}`, `::ffff:${hex}`, `64:ff9b::${hex}`, `64:ff9b::${address}`].map(judge);
      return kinds.every((kind) => kind === judge(address));
    }),
    { examples: [['127.0.0.1'], ['0.0.0.0'], ['10.9.0.2'], ['172.20.9.9'], ['8.8.8.8'], ['0.0.0.1'], ['1.0.0.0']] },
  );
});

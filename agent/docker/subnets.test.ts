import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { freeSubnets } from './subnets.ts';

/** The subnets of Docker's built-in pools. */
const POOLS = [
  ...Array.from({ length: 15 }, (_, index) => `172.${17 + index}.0.0/16`),
  ...Array.from({ length: 16 }, (_, index) => `192.168.${index * 16}.0/20`),
];

const address = (number: number): string => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.');
/** Close to the ranges in use, so that most of them matter. */
const nearby = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 20 - 1 }).map((offset) => address(0xac_10_00_00 + offset)),
  fc.integer({ min: 0, max: 2 ** 20 - 1 }).map((offset) => address(0x0a_40_00_00 + offset)),
);
const network = fc.tuple(nearby, fc.integer({ min: 11, max: 32 })).map(([base, bits]) => `${base}/${bits}`);

function listOf(networks: readonly string[], widest = 32): BlockList {
  const list = new BlockList();
  for (const one of networks) {
    const [base = '', bits = '32'] = one.split('/');
    list.addSubnet(base, Math.min(Number(bits), widest), 'ipv4');
  }
  return list;
}

/** Two blocks either nest or are disjoint, so it is enough to check the first address of each. */
const overlaps = (one: string, others: readonly string[], widest?: number): boolean =>
  listOf(others, widest).check(one.split('/')[0] ?? '') ||
  others.some((other) => listOf([one]).check(other.split('/')[0] ?? ''));

test('a free subnet overlaps no network of Docker, and no /16 around any other address of the host', () => {
  fc.assert(
    fc.property(
      fc.array(network, { maxLength: 12 }),
      fc.array(fc.oneof(nearby, network), { maxLength: 12 }),
      (dockers, around) => {
        const outside = around.filter((one) => !isWithin(one, dockers));
        for (const subnet of freeSubnets(dockers, around).filter((_, index) => index % 97 === 0)) {
          assert.ok(!overlaps(subnet, dockers), subnet);
          assert.ok(!overlaps(subnet, outside, 16), subnet);
        }
      },
    ),
    { numRuns: 40 },
  );
});

const isWithin = (one: string, dockers: readonly string[]): boolean => {
  const [base = '', bits = '32'] = one.split('/');
  return dockers.some((docker) => Number(docker.split('/')[1]) <= Number(bits) && listOf([docker]).check(base));
};

test('subnets are used up one by one, without duplicates, each private and with 1,024 addresses', () => {
  const all = freeSubnets([], []);
  assert.equal(new Set(all).size, 2048);
  assert.ok(
    all.every((one) => one.endsWith('/22') && listOf(['172.16.0.0/12', '10.64.0.0/12']).check(one.slice(0, -3))),
  );
  const networks: string[] = [];
  for (let [next] = freeSubnets(networks, []); next !== undefined; [next] = freeSubnets(networks, networks)) {
    assert.ok(!networks.includes(next));
    // Other networks are created in between.
    networks.push(next, ...freeSubnets([...networks, next], []).slice(5, 400));
  }
  assert.deepEqual(freeSubnets(networks, []), []);
});

const cases: ReadonlyArray<readonly [string, readonly string[], readonly string[], string | undefined]> = [
  ['where Docker has used up its own, with a default route', POOLS, ['0.0.0.0/0', ...POOLS], '172.16.0.0/22'],
  ['beside a manually created network', [...POOLS.slice(1), '172.17.8.0/24'], ['172.16.3.4'], '172.17.0.0/22'],
  ['with a VPN that takes both halves', POOLS, ['0.0.0.0/1', '128.0.0.0/1'], '172.16.0.0/22'],
  ['in a cloud network only partly behind the interface', POOLS, ['172.16.128.0/20'], '10.64.0.0/22'],
  ['with a name server behind the router', POOLS, ['172.16.0.2', '10.64.0.2'], '10.65.0.0/22'],
  ['where the first subnet is in use', [...POOLS, '172.16.0.0/22'], ['172.16.0.1/22', '172.16.0.9'], '172.16.4.0/22'],
  ['where a route covers everything private', POOLS, ['172.16.0.0/12', '10.0.0.0/8'], undefined],
];
for (const [where, networks, around, expected] of cases) {
  test(`the first subnet tried ${where} is ${expected ?? 'none'}`, () => {
    assert.equal(freeSubnets(networks, around)[0], expected);
  });
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { LABEL } from '../lib/labels.ts';
import { makeEngine } from './engine.ts';
import { ensureNetwork, removeNetwork } from './networks.ts';

const NONE_LEFT = {
  'Docker 20.10':
    'could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network',
  'Docker 27': 'all predefined address pools have been fully subnetted',
};
const OVERLAPS = 'invalid pool request: Pool overlaps with other one on this address space';
const OURS = { scope: '0a0b0c0d', network: { name: 'orkestr-p1', projectId: 'p1' } };

interface Scene {
  /** The engine's error for creating a network in this subnet; null: it creates it. */
  readonly answer: (subnet: string | undefined) => string | null;
  /** Subnets of the existing networks. */
  readonly networks?: readonly string[];
  readonly pools?: readonly object[];
  /** Containers attached to our network, none of them ours. */
  readonly attached?: readonly string[];
  /** Scope in the label of an existing network of that name; absent: ours. */
  readonly madeBy?: string;
}

/**
 * An engine with what the test sets up. Returns a call that requests our network, and the subnets that were requested.
 */
async function aScene(t: TestContext, { answer, networks = [], pools, attached = [], madeBy = OURS.scope }: Scene) {
  const folder = await mkdtemp(join(tmpdir(), 'ork-networks-'));
  const asked: (string | undefined)[] = [];
  const made = new Set<string>();
  const removed: string[] = [];
  const answered = async (request: IncomingMessage): Promise<readonly [number, object]> => {
    const path = new URL(request.url ?? '', 'http://engine').pathname.replace(/^\/v1\.\d+/, '');
    if (path === '/version') return [200, { ApiVersion: '1.41', MinAPIVersion: '1.12' }];
    if (path === '/info') return [200, { DefaultAddressPools: pools }];
    if (path === '/networks') return [200, networks.map((Subnet) => ({ IPAM: { Config: [{ Subnet }] } }))];
    if (path === '/containers/json') return [200, attached.map((name) => ({ Id: name, Names: [`/${name}`] }))];
    if (path !== '/networks/create') {
      if (!made.has(path)) return [404, { message: 'none' }];
      if (request.method !== 'DELETE') return [200, { Labels: { [LABEL.scope]: madeBy } }];
      removed.push(path);
      return [204, {}];
    }
    const { Name, IPAM } = (await json(request)) as { Name: string; IPAM?: { Config: { Subnet: string }[] } };
    const subnet = IPAM?.Config[0]?.Subnet;
    asked.push(subnet);
    const refusal = answer(subnet);
    if (refusal !== null) return [refusal === OVERLAPS ? 403 : 404, { message: refusal }];
    made.add(`/networks/${Name}`);
    return [201, { Id: 'made' }];
  };
  const server = createServer((request, response) => {
    void answered(request).then(([status, body]) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    );
  }).listen(join(folder, 's'));
  await once(server, 'listening');
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const engine = makeEngine({ socketPath: join(folder, 's') });
  return {
    asked,
    removed,
    ensure: () => ensureNetwork(engine, OURS.scope, OURS.network),
    remove: () => removeNetwork(engine, OURS.scope, OURS.network.name),
  };
}

const isNoSubnet = (error: unknown): boolean =>
  error instanceof OrkestrError &&
  error.code === 'ORK_SUBNET_NONE' &&
  error.evidence?.[0]?.includes('subnetted') === true;

test('Docker chooses the subnet of a network, which is created once', async (t) => {
  const { asked, ensure } = await aScene(t, { answer: () => null });
  await ensure();
  await ensure();
  assert.deepEqual(asked, [undefined]);
});

for (const [engine, words] of Object.entries(NONE_LEFT)) {
  test(`if Docker has no subnet left, a free one is chosen, and the next one after a conflict (${engine})`, async (t) => {
    const taken: string[] = [];
    const { asked, ensure } = await aScene(t, {
      answer(subnet) {
        if (subnet === undefined) return words;
        return taken.push(subnet) > 2 ? null : OVERLAPS;
      },
      networks: ['172.17.0.0/16', 'fd00:1::/64'],
    });
    await ensure();
    assert.equal(asked.length, 4);
    assert.equal(new Set(taken).size, 3);
    assert.ok(taken.every((subnet) => /^(?:172|10)\..*\/22$/.test(subnet) && !subnet.startsWith('172.17.')));
  });
}

test('if no subnet is free, the error blames the host and quotes the engine', async (t) => {
  const { asked, ensure } = await aScene(t, {
    answer: () => NONE_LEFT['Docker 27'],
    networks: ['172.16.0.0/12', '10.0.0.0/8'],
  });
  await assert.rejects(ensure(), isNoSubnet);
  assert.deepEqual(asked, [undefined]);
});

test('with address pools configured for Docker, no other subnet is chosen', async (t) => {
  const { asked, ensure } = await aScene(t, {
    answer: () => NONE_LEFT['Docker 27'],
    pools: [{ Base: '10.200.0.0/24', Size: 28 }],
  });
  await assert.rejects(ensure(), isNoSubnet);
  assert.deepEqual(asked, [undefined]);
});

test('any other refusal of the engine is passed on unchanged', async (t) => {
  const { asked, ensure } = await aScene(t, { answer: () => 'plugin "bridge" not found' });
  await assert.rejects(ensure(), /plugin "bridge" not found/);
  assert.deepEqual(asked, [undefined]);
});

test('a network is removed, unless a container that is not of orkestr is attached, even a stopped one', async (t) => {
  const empty = await aScene(t, { answer: () => null });
  await empty.ensure();
  await empty.remove();
  assert.deepEqual(empty.removed, ['/networks/orkestr-p1']);
  const used = await aScene(t, { answer: () => null, attached: ['shop-db'] });
  await used.ensure();
  await used.remove();
  assert.deepEqual(used.removed, []);
});

test('a network of another agent is left where it is, and keeps no removal from ending', async (t) => {
  const { ensure, remove, removed } = await aScene(t, { answer: () => null, madeBy: 'ffffffff' });
  await ensure();
  await remove();
  assert.deepEqual(removed, []);
});

test('a network of another agent is not used, and the error names the command that makes way', async (t) => {
  const { ensure } = await aScene(t, { answer: () => null, madeBy: 'ffffffff' });
  await ensure();
  await assert.rejects(ensure(), { code: 'ORK_CONFLICT', message: /docker network rm orkestr-p1/ });
});

/** What a build must not reach. Needs what builder.machine.test.ts sets up. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { DEBIAN } from '../../../test/harness/builder.ts';
import { openMetadataService } from '../../firewall/test-remote-host.ts';
import type { Builds } from './test-builds.ts';
import { NODE, failure } from './test-builds.ts';

export function buildIsolation(builds: () => Builds): void {
  test('an image of another deployment cannot be used as a base image', async () => {
    const { image } = await builds().build([`FROM ${DEBIAN}`, 'RUN echo secret > /secret']);
    const error = await failure(builds().build([`FROM ${image.reference}`, 'RUN cat /secret']));
    assert.equal(error.code, 'ORK_BASE_IMAGE');
  });

  test('an invalid Dockerfile and one with an unknown frontend are refused', async () => {
    const broken = await failure(builds().build([`FROM ${DEBIAN}`, 'RUNX true']));
    assert.equal(broken.code, 'ORK_DOCKERFILE_REFUSED');
    assert.match(broken.message, /line 2.*RUNX/);
    assert.equal((await failure(builds().build(['# syntax=evil/x', 'FROM scratch']))).code, 'ORK_DOCKERFILE_REFUSED');
  });

  test('the network of the host and privileges are refused', async () => {
    for (const option of ['--network=host', '--security=insecure']) {
      const error = await failure(builds().build([`FROM ${DEBIAN}`, `RUN ${option} true`]));
      assert.match(error.code, /ORK_BUILD_FAILED|ORK_DOCKERFILE_REFUSED/, option);
    }
  });

  test('a build reaches the npm registry, but neither ports of the host nor the metadata service', async (t) => {
    await openMetadataService(t);
    const server = createServer((socket) => socket.end('open')).listen(0, '0.0.0.0');
    t.after(() => server.close());
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    await builds().build([`FROM ${DEBIAN}`, 'RUN true']); // starts the sandbox and assigns its addresses
    const probe = (name: string, address: string, number: number): string =>
      `(timeout 1 bash -c 'exec 3<>/dev/tcp/${address}/${number}; cat <&3' && echo ${name}=yes || echo ${name}=no)`;
    // All addresses of a host may be in the ranges that engines use: then there is nothing more to test.
    const hosts = hostAddresses().map((address, index) => ({ name: `host${index}`, address }));
    const probes = [
      probe('metadata', '169.254.169.254', 80),
      probe('veth', vethAddress(), port),
      probe('docker0', '172.17.0.1', port),
      ...hosts.map(({ name, address }) => probe(name, address, port)),
    ];
    const { text } = await builds().build([
      `FROM ${NODE}`,
      `RUN ${probes.join(' & ')} & wait`,
      'RUN npm view is-odd@3.0.1 name',
    ]);
    for (const closed of ['metadata', 'veth', 'docker0', ...hosts.map(({ name }) => name)])
      assert.match(text, new RegExp(`^${closed}=no$`, 'm'));
    assert.doesNotMatch(text, /^\w+=yes$/m);
    assert.match(text, /^is-odd$/m);
  });
}

/** The host's end of the sandbox's veth pair. */
function vethAddress(): string {
  const trie = readFileSync('/proc/net/fib_trie', 'utf8');
  return /198\.18\.\d+\.\d+(?=\n\s+\/32 host LOCAL)/.exec(trie)?.[0] ?? assert.fail('the sandbox has no veth');
}

function hostAddresses(): string[] {
  const trie = readFileSync('/proc/net/fib_trie', 'utf8');
  const own = [...trie.matchAll(/(\d+\.\d+\.\d+\.\d+)\n\s+\/32 host LOCAL/g)].map((match) => match[1] ?? '');
  return [...new Set(own)].filter((address) => !/^(?:127|169\.254|198\.18|198\.19|172)\./.test(address));
}

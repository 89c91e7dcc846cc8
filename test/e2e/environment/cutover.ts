/** Deployments under traffic: no visitor notices, and the receipt shows it. */
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { request } from 'undici';
import { Load } from '../../../installer/start/load.ts';
import { CutoverReceipt } from '../../../protocol/steps.ts';
import type { Stack } from '../../harness/stack.ts';

/** A server that reports its version, echoes bodies, responds slowly on demand and shuts down gracefully. */
const server = (version: string): string => `
const http = require('node:http');
const server = http.createServer((req, res) => {
  res.setHeader('x-version', '${version}');
  if (req.url.startsWith('/slow')) return setTimeout(() => res.end('slow ${version}'), 1500);
  if (req.method === 'POST') return req.pipe(res);
  res.end('version ${version}');
});
server.listen(process.env.PORT, '0.0.0.0');
process.on('SIGTERM', () => server.close(() => process.exit(0)));
`;
const app = (version: string) => ({
  'package.json': JSON.stringify({ name: 'versions', scripts: { start: 'node server.js' } }),
  'server.js': server(version),
});

export function cutover(given: () => Stack): void {
  test('a deployment loses no request, finishes those in flight on the old target, and keeps a receipt', async () => {
    const stack = given();
    const project = await stack.createProject(app('1'), { slug: 'versions' });
    const first = await project.goesLive();
    const load = new Load({
      proxyUrl: stack.proxyUrl,
      hostName: project.hostName,
      versions: new Set(['1', '2', '3']),
    });
    const slow: Promise<string>[] = [];
    const askSlowly = setInterval(() => {
      slow.push(
        request(`${stack.proxyUrl}/slow`, { headers: { host: project.hostName } }).then(({ body }) => body.text()),
      );
    }, 200);
    let second, third, result;
    try {
      second = await project.goesLive(app('2'));
      third = await project.goesLive(app('3'));
    } finally {
      clearInterval(askSlowly);
      result = await load.stop();
    }
    assert.equal(result.failed, 0, result.failures.join('\n'));
    assert.ok(result.requests > 100, `only ${result.requests} requests`);
    for (const version of ['1', '2', '3'])
      assert.ok((result.served[version] ?? 0) > 0, `version ${version} served nothing`);
    for (const body of await Promise.all(slow)) assert.match(body, /^slow [123]$/);

    const receipt = CutoverReceipt.parse(third.steps.find(({ name }) => name === 'cutover')?.output);
    assert.equal(receipt.failed, 0);
    assert.equal(receipt.previous?.targetId, second.id);
    assert.ok(receipt.previous.requests.served > 0);
    assert.equal(receipt.previous.requests.failed, 0);
    assert.ok(receipt.previous.firstRequestAt !== null && receipt.previous.lastRequestAt !== null);
    assert.ok(receipt.previous.lastRequestAt <= receipt.flippedAt || receipt.previous.inFlightAtFlip > 0);
    assert.ok((receipt.current.firstRequestAt ?? '') >= receipt.previous.firstRequestAt);
    assert.equal(receipt.previous.errors + receipt.current.errors, 0);
    assert.equal(receipt.drain?.forced, 0);
    assert.equal(receipt.held, null);
    assert.equal((await stack.deployment(first.id)).status, 'superseded');
    assert.equal((await stack.deployment(second.id)).status, 'superseded');
  });

  test('visitors of a host without room for two copies wait, and none is lost, even if the deployment fails', async () => {
    const stack = given();
    // The load's clients wait at most ten seconds; with the version that fails, they wait for its whole time to start.
    const settings = { cutover: 'hold', healthCheck: { kind: 'auto', startSeconds: 6 } };
    const project = await stack.createProject(app('1'), { slug: 'small', settings });
    await project.goesLive();
    const load = new Load({
      proxyUrl: stack.proxyUrl,
      hostName: project.hostName,
      versions: new Set(['1', '2']),
    });
    let second, third, result;
    try {
      second = await project.goesLive(app('2'));
      third = await project.deploy({ 'server.js': "require('node:http').createServer().listen(1);" });
    } finally {
      result = await load.stop();
    }
    assert.equal(third.status, 'failed');
    assert.equal(result.failed, 0, result.failures.join('\n'));
    assert.equal((await project.get()).body, 'version 2');
    const receipt = CutoverReceipt.parse(second.steps.find(({ name }) => name === 'cutover')?.output);
    assert.equal(receipt.failed, 0);
    assert.ok(receipt.held !== null && receipt.held.requests > 0, 'some had to wait');
    assert.equal(receipt.held.refused, 0);
  });
}

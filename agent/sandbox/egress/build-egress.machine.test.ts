/** An allowlist in a realistic build: a sandbox's network, our proxy, and npm inside. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { OrkestrError } from '../../../protocol/errors.ts';
import { makeEndings, openRemoteHost } from '../../firewall/test-remote-host.ts';
import { type ExecResult, exec, run } from '../../lib/exec.ts';
import { type SandboxNetwork, makeSandboxNetwork } from '../network/network.ts';
import { type ProxyArguments, withEgress } from './build-egress.ts';

const network = makeSandboxNetwork(randomBytes(4).toString('hex'), exec);

/** Runs a program in the network, like a RUN step with the proxy's arguments. */
function inside(within: SandboxNetwork, proxyArguments: ProxyArguments, ...argv: string[]): Promise<ExecResult> {
  const env = Object.entries(proxyArguments).map(([name, value]) => `${name}=${value}`);
  return exec('nsenter', [`--net=${within.namespacePath}`, '--', 'env', ...env, ...argv], { timeoutMs: 60_000 });
}

const curl = (url: string, ...more: string[]): string[] => ['curl', '-sS', '--max-time', '5', ...more, url];

describe('a build with buildHosts', () => {
  const internet = `198.51.100.${randomBytes(1).readUInt8() | 3}`;
  const endings = makeEndings();
  let registry = '';
  let folder = '';
  const lines: string[] = [];
  const log = { write: () => undefined, line: (text: string) => void lines.push(text) };
  const build = <T>(hosts: readonly string[] | undefined, work: (args: ProxyArguments) => Promise<T>): Promise<T> =>
    withEgress(network, hosts, log, work);

  before(async () => {
    registry = (await run('npm', ['config', 'get', 'registry'], { timeoutMs: 30_000 })).stdout.trim();
    await openRemoteHost(endings, internet, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld');
    await network.ensure();
    folder = await mkdtemp(join(tmpdir(), 'ork-egress-'));
  });
  after(async () => {
    await network.remove();
    await endings.end();
    await rm(folder, { recursive: true });
  });

  test('gets a package through npm from a registry in the list', async () => {
    const { hostname, port, protocol } = new URL(registry);
    const host = `${hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
    const npm = ['npm', 'view', 'is-odd@3.0.1', 'name', '--registry', registry, '--cache', join(folder, 'cache')];
    const { stdout, stderr } = await build([host], (args) => inside(network, args, ...npm));
    assert.equal(stdout.trim(), 'is-odd', stderr);
  });

  test('reaches a listed host over plain HTTP, and learns at once that another one is refused', async () => {
    await build([internet], async (args) => {
      assert.equal((await inside(network, args, ...curl(`http://${internet}/x`))).stdout, 'world');
      const refused = await inside(network, args, ...curl('http://other.example/x'));
      assert.match(refused.stdout, /refused: other\.example:80 is not in buildHosts/);
      const tunnel = await inside(network, args, ...curl('https://other.example/x'));
      assert.match(tunnel.stderr, /403/);
    });
    assert.ok(lines.includes('refused: other.example:80 is not in buildHosts'));
    assert.ok(lines.includes('refused: other.example:443 is not in buildHosts'));
  });

  test('finds no way around the proxy: not by address, not by DNS, not with another proxy', async () => {
    await build([internet], async (args) => {
      const direct = await inside(network, {}, ...curl(`http://${internet}/`));
      assert.notEqual(direct.exitCode, 0);
      const servers = `require('node:dns').setServers(['${internet}'])`;
      const script = `${servers}; require('node:dns').resolve('secret.example', (error) => process.exit(error ? 1 : 0))`;
      assert.equal((await inside(network, args, process.execPath, '-e', script)).exitCode, 1);
      const other = await inside(network, args, ...curl('http://a.example/', '--proxy', `http://${internet}:80`));
      assert.notEqual(other.exitCode, 0);
    });
  });

  test('lists the refused hosts first in the evidence of its failure', async () => {
    const work = async (args: ProxyArguments): Promise<never> => {
      await inside(network, args, ...curl('http://evil.example/'));
      throw new OrkestrError('ORK_BUILD_FAILED', 'It failed.', { evidence: ['exit code 1'] });
    };
    await assert.rejects(build([], work), (error: OrkestrError) => {
      assert.equal(error.code, 'ORK_BUILD_FAILED');
      assert.deepEqual(error.evidence, ['refused: evil.example:80 is not in buildHosts', 'exit code 1']);
      return true;
    });
  });

  test('closes its proxy when it ends, and a build without a list gets no proxy', async () => {
    const args = await build([internet], async (given) => given);
    assert.notEqual((await inside(network, args, ...curl(`http://${internet}/`))).exitCode, 0);
    await network.ensure();
    await build(undefined, async (none) => {
      assert.deepEqual(none, {});
      assert.equal((await inside(network, none, ...curl(`http://${internet}/`))).stdout, 'world');
    });
  });
});

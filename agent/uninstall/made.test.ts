import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import type Docker from 'dockerode';
import { scripted } from '../deployment/test-ports.ts';
import { localIdentity, scopeOf } from '../identity/identity.ts';
import type { Engine } from '../lib/engine.ts';
import type { Exec } from '../lib/exec.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { uninstall } from './cleanup.ts';
import { removeMade } from './made.ts';
import type { MadeParts } from './made.ts';

interface Thing {
  readonly Id: string;
  readonly Names?: readonly string[];
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly RepoTags?: readonly string[] | null;
}

const of = (scope: string): Thing['Labels'] => ({ 'orkestr.scope': scope });

/**
 * An engine with a container of one agent, a network of another, and images of four, one of which is on another host.
 */
function engineWith(containers: readonly Thing[]): Engine {
  const images: readonly Thing[] = [
    { Id: 'i1', Labels: of('cccccccc'), RepoTags: ['orkestr/shop:1'] },
    { Id: 'i2', Labels: of('eeeeeeee'), RepoTags: ['orkestr-dddddddd/environment:deployment'] },
    { Id: 'i3', Labels: null, RepoTags: ['debian:12'] },
  ];
  const docker = scripted<Docker>('docker', {
    listContainers: (async () => containers) as unknown as Docker['listContainers'],
    listNetworks: (async () => [{ Id: 'n1', Labels: of('bbbbbbbb') }]) as unknown as Docker['listNetworks'],
    listImages: (async () => images) as unknown as Docker['listImages'],
  });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  return scripted<Engine>('engine', { call });
}

const CONTAINERS: readonly Thing[] = [
  { Id: 'c1', Names: ['/shop-1'], Labels: of('aaaaaaaa') },
  { Id: 'c2', Names: ['/not-ours'], Labels: of('whatever') },
];
const CHAINS = `*mangle
:INPUT ACCEPT [0:0]
:ORKESTR-ffffffff-FWD - [0:0]
:ORKESTR-aaaaaaaaa-BIN - [0:0]
COMMIT
`;

const rules: Exec = async () => ({ exitCode: 0, stdout: CHAINS, stderr: '', timedOut: false });

/** What is removed, by scope, and the output. */
async function removed(parts: Pick<MadeParts, 'stateFolder' | 'installed' | 'keepData'> & Partial<MadeParts>) {
  const scopes: string[] = [];
  const told: string[] = [];
  const ok = await removeMade({
    engine: engineWith(CONTAINERS),
    exec: rules,
    thingsOf: (scope) => [{ what: 'things', run: async () => `${scopes.push(scope)} removed` }],
    async tell(cleanups) {
      const results = await uninstall(cleanups, ({ what, level, told: text }) =>
        told.push(`${level} ${what}: ${text}`),
      );
      return results.every(({ level }) => level !== 'failed');
    },
    ...parts,
  });
  return { ok, scopes, told: told.join('\n') };
}

const damagedFolder = (t: TestContext): string => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'identity.json'), '{\n  "hostId": "018f00');
  return folder;
};

test('uninstalling an installation without a readable identity removes everything that any agent made on the host', async (t) => {
  const all = ['aaaaaaaa', 'bbbbbbbb', 'cccccccc', 'dddddddd', 'ffffffff'];
  for (const stateFolder of [damagedFolder(t), temporaryFolder(t), join(temporaryFolder(t), 'gone')]) {
    const { ok, scopes, told } = await removed({ stateFolder, installed: true, keepData: false });
    assert.deepEqual([ok, scopes], [true, all]);
    assert.match(told, /^done identity: not readable: .*aaaaaaaa, bbbbbbbb/);
  }
});

test('the output names what stays and how to remove it if the data is kept or the agent runs from sources', async (t) => {
  for (const parts of [
    { installed: true, keepData: true },
    { installed: false, keepData: false },
  ]) {
    const { ok, scopes, told } = await removed({ stateFolder: damagedFolder(t), ...parts });
    assert.deepEqual([ok, scopes], [true, []]);
    assert.match(told, /^warning other containers: .*are kept.*docker rm --force shop-1 && docker network prune/);
  }
});

test('an agent with an identity removes only its own things; an installed one names those of other agents', async (t) => {
  const stateFolder = temporaryFolder(t);
  const own = scopeOf(localIdentity(stateFolder, 0).hostId);
  const engine = engineWith([...CONTAINERS, { Id: 'c3', Names: ['/mine-1'], Labels: of(own) }]);
  const installed = await removed({ stateFolder, installed: true, keepData: false, engine });
  assert.deepEqual([installed.ok, installed.scopes], [true, [own]]);
  assert.match(installed.told, /docker rm --force shop-1 &&/);
  const fromSources = await removed({ stateFolder, installed: false, keepData: false, engine });
  assert.deepEqual([fromSources.scopes, fromSources.told], [[own], 'done things: 1 removed']);
});

test('an agent from sources removes nothing for a folder without an identity', async (t) => {
  const nothing = { ok: true, scopes: [], told: '' };
  assert.deepEqual(await removed({ stateFolder: temporaryFolder(t), installed: false, keepData: false }), nothing);
});

test('an engine that does not answer is a failure, and nothing is removed, so that the next call asks it again', async (t) => {
  const stateFolder = damagedFolder(t);
  const before = readFileSync(join(stateFolder, 'identity.json'), 'utf8');
  const call: Engine['call'] = () => Promise.reject(new Error('It hangs.'));
  const engine = scripted<Engine>('engine', { call });
  const { ok, scopes } = await removed({ stateFolder, installed: true, keepData: false, engine });
  assert.deepEqual([ok, scopes], [false, []]);
  assert.equal(readFileSync(join(stateFolder, 'identity.json'), 'utf8'), before);
});

test('a host without a packet filter has no chains; one that cannot be listed is a failure, and nothing is removed', async (t) => {
  const absent: Exec = () => Promise.reject(Object.assign(new Error('spawn iptables-save'), { code: 'ENOENT' }));
  const parts = { stateFolder: damagedFolder(t), installed: true, keepData: false };
  const without = await removed({ ...parts, exec: absent });
  assert.deepEqual([without.ok, without.scopes], [true, ['aaaaaaaa', 'bbbbbbbb', 'cccccccc', 'dddddddd']]);
  const failures: readonly Exec[] = [
    async () => ({ exitCode: 4, stdout: '', stderr: 'Another app holds the lock.', timedOut: false }),
    async () => ({ exitCode: null, stdout: CHAINS, stderr: '', timedOut: true }),
    () => Promise.reject(Object.assign(new Error('spawn iptables-save'), { code: 'EMFILE' })),
  ];
  for (const exec of failures) {
    const { ok, scopes, told } = await removed({ ...parts, exec });
    assert.deepEqual([ok, scopes], [false, []]);
    assert.match(told, /^failed identity: .*iptables-save/);
  }
});

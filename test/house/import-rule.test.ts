import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, isTest, repositoryFiles, sourceFiles } from './sources.ts';
import type { Import } from './sources.ts';

interface Area {
  /** Path prefix of its files. The first area that holds a file is its area. */
  readonly path: string;
  /** Path prefixes that it may import, beside itself. */
  readonly may: readonly string[];
  /** Path prefixes of which it may import types only. */
  readonly types?: readonly string[];
}

/** Adapters of the agent: they implement the ports and know nothing else of the domain. */
const adapter = (name: string): Area => ({
  path: `agent/${name}/`,
  may: ['agent/lib/', 'protocol/'],
  types: ['agent/deployment/'],
});

/** Who may import whom. A folder that is not here may import nothing of ours outside of itself. */
const AREAS: readonly Area[] = [
  // What the proxy is told knows nothing of jobs and steps: their schemas would stay in its memory.
  { path: 'protocol/edge.ts', may: ['protocol/ids.ts'] },
  { path: 'protocol/flip-counts.ts', may: ['protocol/ids.ts'] },
  { path: 'protocol/edge-order.ts', may: ['protocol/edge.ts', 'protocol/ids.ts'], types: ['protocol/job.ts'] },
  {
    path: 'protocol/proxy-admin.ts',
    may: ['protocol/edge.ts', 'protocol/flip-counts.ts', 'protocol/ids.ts'],
  },
  { path: 'protocol/', may: [] },
  { path: 'agent/deployment/', may: ['agent/detect/', 'agent/probe/', 'agent/lib/', 'protocol/'] },
  { path: 'agent/detect/', may: ['agent/lib/', 'protocol/'] },
  { path: 'agent/probe/', may: ['agent/lib/', 'protocol/'], types: ['agent/deployment/'] },
  // What an address or interface of a machine leads to is judged the same way by hub and agent.
  { path: 'agent/lib/', may: ['protocol/address-kind.ts', 'protocol/service/guest-bridges.ts'] },
  ...['docker', 'git', 'registry', 'proxy-client', 'firewall', 'journal', 'hub-link'].map(adapter),
  // What looks at the host stands on these, and they on none of it.
  { path: 'agent/host-facts/', may: ['agent/docker/ask.ts', 'agent/lib/', 'protocol/'], types: ['agent/deployment/'] },
  { path: 'agent/local-api/', may: ['agent/lib/', 'protocol/'], types: ['agent/deployment/'] },
  // A build takes base images from registries and gives them what it made.
  { ...adapter('sandbox'), may: ['agent/registry/', 'agent/lib/', 'protocol/'] },
  // Images for the detectors' Dockerfiles: the map of their names is the detectors'.
  { path: 'agent/base-images/', may: ['agent/lib/', 'agent/detect/base-images.ts', 'protocol/'], types: ['agent/'] },
  // Composition and commands: the rest of the agent puts the parts together.
  { path: 'agent/', may: ['protocol/'] },
  {
    path: 'proxy/',
    may: [
      'protocol/client-network.ts',
      'protocol/edge.ts',
      'protocol/edge-order.ts',
      'protocol/errors.ts',
      'protocol/error-catalogue.ts',
      'protocol/ids.ts',
      'protocol/proxy-admin.ts',
      'protocol/service/',
    ],
    types: ['protocol/flip-counts.ts'],
  },
  { path: 'hub/console/', may: ['hub/api/schemas.ts', 'hub/api/app-log-lines.ts', 'hub/cli/text/', 'protocol/'] },
  { path: 'hub/', may: ['protocol/'] },
  {
    // The installer is a user of the hub's API, by the same client as the CLI, and of the agent's image names; where it
    // stops an agent it takes the agent's firewall rules off. A release bundles proxy and console by their own settings.
    path: 'installer/',
    may: [
      'hub/api/schemas.ts',
      'hub/cli/',
      'hub/console/vite.config.ts',
      'proxy/bundle.config.mjs',
      'agent/detect/base-images.ts',
      'agent/firewall/firewall.ts',
      'protocol/',
    ],
  },
  { path: 'test/', may: [''] },
];

const areaOf = (file: string): Area => AREAS.find(({ path }) => file.startsWith(path)) ?? { path: file, may: [] };

/** Tests and what helps them (`test-x.ts`). */
const isOfTests = (file: string): boolean => file.startsWith('test/') || isTest(file);

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const area = areaOf(from);
  // Its version is everybody's to say.
  if (to.startsWith(area.path) || to === 'package.json') return true;
  // A test, and what helps it, may use whatever its own process has, and the test harness.
  if (isTest(from) && [from.split('/', 1)[0], 'test', 'protocol'].includes(to.split('/', 1)[0])) return true;
  return (
    area.may.some((path) => to.startsWith(path)) || (typeOnly && (area.types ?? []).some((path) => to.startsWith(path)))
  );
}

test('files import only what the import rule allows', () => {
  const wrong = sourceFiles()
    .flatMap(importsOf)
    .filter((found) => found.ours && !isAllowed(found));
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  );
});

test('every area of the import rule is there, and so is what it may import', () => {
  const files = repositoryFiles();
  const paths = AREAS.flatMap(({ path, may, types = [] }) => [path, ...may, ...types]);
  assert.deepEqual(
    paths.filter((path) => !files.some((file) => file.startsWith(path))),
    [],
  );
});

test('what helps tests is taken by tests alone', () => {
  const wrong = sourceFiles()
    .filter((file) => !isOfTests(file))
    .flatMap(importsOf)
    .filter(({ to, ours }) => ours && isOfTests(to));
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  );
});

test('only installer and tests reach into other processes, and they do it as users of them', () => {
  const processes = ['agent', 'proxy', 'hub'];
  const across = sourceFiles()
    .flatMap(importsOf)
    .filter(({ ours }) => ours)
    .map(({ from, to }) => [from.split('/', 1)[0] ?? '', to.split('/', 1)[0] ?? ''])
    .filter(([from, to]) => processes.includes(from ?? '') && processes.includes(to ?? '') && from !== to);
  assert.deepEqual(across, []);
});

test('what plain Node runs before npm ci imports only itself and modules of Node', () => {
  const early = sourceFiles().filter((file) => file.startsWith('installer/') && file.endsWith('.mjs'));
  assert.ok(early.includes('installer/bootstrap.mjs'));
  const wrong = early
    .flatMap(importsOf)
    .filter(({ to, ours }) => (ours ? !(to.startsWith('installer/') && to.endsWith('.mjs')) : !to.startsWith('node:')));
  assert.deepEqual(wrong, []);
});

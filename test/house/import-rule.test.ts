import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importsOf, isTest, repositoryFiles, sourceFiles } from './sources.ts';
import type { Import } from './sources.ts';

interface Area {
  /** Path prefix of its files. The first area that matches a file counts. */
  readonly path: string;
  /** Path prefixes that it may import, besides itself. */
  readonly may: readonly string[];
  /** Path prefixes from which it may import types only. */
  readonly types?: readonly string[];
}

/** Adapters of the agent: they implement the ports and know nothing else of the domain. */
const adapter = (name: string): Area => ({
  path: `agent/${name}/`,
  may: ['agent/lib/', 'protocol/'],
  types: ['agent/deployment/'],
});

/** Which files may import which. A folder that is not listed may import only its own files. */
const AREAS: readonly Area[] = [
  // The proxy's input must not depend on jobs and steps, whose schemas would stay in the proxy's memory.
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
  // Hub and agent judge an address or interface of a machine in the same way.
  { path: 'agent/lib/', may: ['protocol/address-kind.ts', 'protocol/service/guest-bridges.ts'] },
  ...['docker', 'git', 'registry', 'proxy-client', 'firewall', 'journal', 'hub-link'].map(adapter),
  // Checks of the host depend on these, and not the other way round.
  { path: 'agent/host-facts/', may: ['agent/docker/ask.ts', 'agent/lib/', 'protocol/'], types: ['agent/deployment/'] },
  { path: 'agent/local-api/', may: ['agent/lib/', 'protocol/'], types: ['agent/deployment/'] },
  // A build pulls base images from registries and pushes its result to them.
  { ...adapter('sandbox'), may: ['agent/registry/', 'agent/lib/', 'protocol/'] },
  // Images for the detectors' Dockerfiles, whose names the detectors define.
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
  { path: 'hub/console/', may: ['hub/api/paths.ts', 'hub/api/schemas.ts', 'hub/cli/text/', 'protocol/'] },
  { path: 'hub/', may: ['protocol/'] },
  {
    // The installer uses the hub's API, with the same client as the CLI, and the agent's image names; where it stops an
    // agent, it removes the agent's firewall rules, which are named after its identity. A release bundles proxy and
    // console with their own settings.
    path: 'installer/',
    may: [
      'hub/api/paths.ts',
      'hub/api/schemas.ts',
      'hub/cli/',
      'hub/console/vite.config.ts',
      'proxy/bundle.config.mjs',
      'agent/detect/base-images.ts',
      'agent/firewall/firewall.ts',
      'agent/identity/identity.ts',
      'protocol/',
    ],
  },
  { path: 'test/', may: [''] },
];

const areaOf = (file: string): Area => AREAS.find(({ path }) => file.startsWith(path)) ?? { path: file, may: [] };

/** Tests and their helpers (`test-x.ts`). */
const isOfTests = (file: string): boolean => file.startsWith('test/') || isTest(file);

function isAllowed({ from, to, typeOnly }: Import): boolean {
  const area = areaOf(from);
  // Every file may use the version.
  if (to.startsWith(area.path) || to === 'package.json') return true;
  // A test and its helpers may use everything of their own process, and the test harness.
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

test('every path that the import rule names exists', () => {
  const files = repositoryFiles();
  const paths = AREAS.flatMap(({ path, may, types = [] }) => [path, ...may, ...types]);
  assert.deepEqual(
    paths.filter((path) => !files.some((file) => file.startsWith(path))),
    [],
  );
});

test('only tests import test helpers', () => {
  const wrong = sourceFiles()
    .filter((file) => !isOfTests(file))
    .flatMap(importsOf)
    .filter(({ to, ours }) => ours && isOfTests(to));
  assert.deepEqual(
    wrong.map(({ from, to }) => `${from} -> ${to}`),
    [],
  );
});

test('hub, agent and proxy do not import from each other', () => {
  const processes = ['agent', 'proxy', 'hub'];
  const across = sourceFiles()
    .flatMap(importsOf)
    .filter(({ ours }) => ours)
    .map(({ from, to }) => [from.split('/', 1)[0] ?? '', to.split('/', 1)[0] ?? ''])
    .filter(([from, to]) => processes.includes(from ?? '') && processes.includes(to ?? '') && from !== to);
  assert.deepEqual(across, []);
});

test('scripts that plain Node runs before npm ci import only each other and modules of Node', () => {
  const early = sourceFiles().filter((file) => file.startsWith('installer/') && file.endsWith('.mjs'));
  assert.ok(early.includes('installer/bootstrap.mjs'));
  const wrong = early
    .flatMap(importsOf)
    .filter(({ to, ours }) => (ours ? !(to.startsWith('installer/') && to.endsWith('.mjs')) : !to.startsWith('node:')));
  assert.deepEqual(wrong, []);
});

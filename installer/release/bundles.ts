/** The JavaScript of a release: four bundles by rolldown and vite, with the same bytes for every target. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../stack/run-program.ts';
import { PACKAGES_FILE } from './packages-plugin.ts';

interface Bundle {
  readonly tool: 'rolldown' | 'vite';
  readonly config: string;
  /** Below the release's `lib`. */
  readonly folder: string;
}

const CLI: Bundle = { tool: 'rolldown', config: 'installer/release/cli-bundle.config.ts', folder: 'cli' };
const BUNDLES: readonly Bundle[] = [
  { tool: 'rolldown', config: 'installer/release/bundle.config.ts', folder: '.' },
  { tool: 'rolldown', config: 'installer/release/proxy-bundle.config.ts', folder: 'proxy' },
  // The hub's bundle looks for these two there.
  CLI,
  { tool: 'vite', config: 'installer/release/console.config.ts', folder: 'console/dist' },
];

/**
 * Makes the bundles below `lib`.
 * @returns install paths of the npm packages that they contain, sorted
 * @throws OrkestrError ORK_PREPARE_FAILED with the tool's output
 */
export async function makeBundles(root: string, lib: string): Promise<readonly string[]> {
  const packages = new Set<string>();
  for (const bundle of BUNDLES) {
    for (const path of await makeBundle(root, bundle, join(lib, bundle.folder))) packages.add(path);
  }
  return [...packages].toSorted();
}

/**
 * Makes the CLI alone, as `orkestr.cjs` in `folder`.
 * @throws OrkestrError ORK_PREPARE_FAILED with the tool's output
 */
export async function makeCliBundle(root: string, folder: string): Promise<void> {
  await makeBundle(root, CLI, folder);
}

/** @returns install paths of the npm packages that it contains */
async function makeBundle(root: string, { tool, config }: Bundle, folder: string): Promise<readonly string[]> {
  await mustRun(tool, [process.execPath, ...argsOf(root, tool, config, folder)], { cwd: root });
  const list = join(folder, PACKAGES_FILE);
  const packages = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  rmSync(list);
  return packages;
}

function argsOf(root: string, tool: Bundle['tool'], config: string, folder: string): readonly string[] {
  if (tool === 'rolldown') {
    return [join(root, 'node_modules', 'rolldown', 'bin', 'cli.mjs'), '--config', config, '--dir', folder];
  }
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js');
  const loudness = ['--logLevel', 'warn'];
  return [
    vite,
    'build',
    join(root, 'hub/console'),
    '--config',
    config,
    '--outDir',
    folder,
    '--emptyOutDir',
    ...loudness,
  ];
}

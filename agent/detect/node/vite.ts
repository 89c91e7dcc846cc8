/** Output folder of a Vite build, from the text of its configuration, so that only literals count. */
import { posix } from 'node:path';
import { named, withExtensions } from './framework.ts';
import type { ConfigFile, StaticOutput } from './framework.ts';
import type { PackageJson } from './package-json.ts';
import { pathAfter, configPath } from './served-at.ts';

export const VITE_CONFIG = withExtensions('vite.config');

export const VITE_DEVELOPMENT = /\bvite(?: (?:dev|serve|preview)\b|$| -)/;

const PATH = String.raw`([A-Za-z0-9_@.][A-Za-z0-9._/@-]*)`;

/** `key: 'folder'`. */
const literal = ({ text }: ConfigFile, key: string): string | undefined =>
  new RegExp(String.raw`\b${key}["']?\s*:\s*["'\x60]${PATH}["'\x60]`).exec(text)?.[1];

/** `key: path.resolve(__dirname, 'folder')`. */
export const resolved = ({ text }: ConfigFile, key: string): string | undefined =>
  new RegExp(
    String.raw`\b${key}["']?\s*:\s*(?:path\.)?(?:resolve|join)\(\s*(?:__dirname|import\.meta\.dirname|process\.cwd\(\))\s*,\s*["']${PATH}["']\s*\)`,
  ).exec(text)?.[1];

/** Relative to the app's folder; may lead outside, as in a workspace with one folder for all builds. */
function folderOf({ scripts }: PackageJson, config: ConfigFile): string {
  const root = literal(config, 'root') ?? resolved(config, 'root') ?? '.';
  const said = /\s--outDir[= ]["']?([A-Za-z0-9_@.][\w./@-]*)/.exec(scripts['build'] ?? '')?.[1];
  const fixed = said === undefined ? resolved(config, 'outDir') : undefined;
  const folder = fixed ?? posix.join(root, said ?? literal(config, 'outDir') ?? 'dist');
  return posix.normalize(folder).replace(/(.)\/$/, '$1');
}

export const viteOutput = (manifest: PackageJson, config: ConfigFile): StaticOutput => ({
  folder: folderOf(manifest, config),
  singlePage: true,
  partlyHashed: named(config, 'assetsDir') ?? 'assets',
});

export const viteServedAt = (manifest: PackageJson, config: ConfigFile): string | null =>
  pathAfter(manifest, 'base') ?? configPath(config, 'base');

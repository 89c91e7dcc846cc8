/** A Node.js framework as data: how to recognize it, and what its build produces. */
import type { PublicPrefix } from '../../../protocol/public-variables.ts';
import type { Need } from '../needs.ts';
import type { PackageJson } from './package-json.ts';

/** Output of a build that is only files. */
export interface StaticOutput {
  readonly folder: string;
  /** Unknown paths get index.html: the app routes in the browser. */
  readonly singlePage: boolean;
  /** The page for unknown paths, if not index.html. */
  readonly fallback?: string;
  /** Folder in which all file names contain a content hash. */
  readonly hashed?: string;
  /** Folder with such files and others: bundlers copy `public/assets` there unchanged. */
  readonly partlyHashed?: string;
}

/** The first existing configuration file of a framework; empty if there is none. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

export interface Framework {
  /** Stored in plans: never rename. */
  readonly name: string;
  /** Matches if any of these packages is listed. */
  readonly packages: readonly string[];
  /** Only a build tool, which other runtimes use for their assets too: at most "likely". */
  readonly bundler?: true;
  /** Default port of its server. */
  readonly port?: number;
  /** Build command if package.json has no script for it. */
  readonly build?: string | ((config: ConfigFile) => string);
  /** Scripts that build it, if there is no `build`. */
  readonly buildScripts?: readonly string[];
  /** The build as files; null if this project's build is a server. Absent: always a server. */
  readonly output?: (manifest: PackageJson, config: ConfigFile) => StaticOutput | null;
  /** The path that its files are built for; null for the root. */
  readonly servedAt?: (manifest: PackageJson, config: ConfigFile) => string | null;
  /** Package that its server needs at start, in addition to its own. */
  readonly needsAtStart?: (config: ConfigFile) => string | null;
  /** Start scripts that take precedence over `start`. */
  readonly startScripts?: readonly string[];
  /** Start command if there is no script. */
  readonly start?: string | ((manifest: PackageJson, config: ConfigFile) => string | null);
  /** Scripts that never start it in production: for development, or for a server that its build does not produce. */
  readonly development?: RegExp | ((config: ConfigFile) => RegExp);
  /** Its configuration files; the first that exists is read. */
  readonly config?: readonly string[];
  /** Name prefixes of variables that its build writes into browser files. */
  readonly publicPrefixes?: readonly PublicPrefix[];
  /** Environment variables that make the server reachable. */
  readonly env?: Readonly<Record<string, string>>;
  /** Variables that it needs to start. */
  readonly needs?: readonly Need[];
  /** Variables for its build command. */
  readonly buildEnv?: (manifest: PackageJson, config: ConfigFile) => Readonly<Record<string, string>> | null;
  readonly warning?: (manifest: PackageJson, config: ConfigFile) => string | null;
  /** Why its build cannot run here, with the remedy; called if no start command is stated. */
  readonly unfit?: (manifest: PackageJson, config: ConfigFile) => string | null;
}

/** A configuration's text without comments, which often hold alternative settings. Comments in JSON do not matter. */
export function withoutComments({ path, text }: ConfigFile): ConfigFile {
  if (path.endsWith('.json')) return { path, text };
  return { path, text: text.replace(/(^|\s)(?:\/\*[^]*?(?:\*\/|$)|\/\/.*)/g, '$1') };
}

export const withExtensions = (name: string): string[] =>
  ['js', 'ts', 'mjs', 'mts', 'cjs'].map((end) => `${name}.${end}`);

/** A folder that a configuration file sets as `key: 'folder'`. */
export function named({ text }: ConfigFile, key: string): string | null {
  const folder = new RegExp(`["']?\\b${key}["']?\\s*:\\s*['"](?:\\./)?([A-Za-z0-9_@][A-Za-z0-9._/@-]*?)/?['"]`).exec(
    text,
  )?.[1];
  return folder === undefined || folder.split('/').includes('..') ? null : folder;
}

/** Maximum length of an npm package name. */
const MAX_NAME = 214;

/** The last part of the package's name: `@shop/web` → `web`. */
export const shortName = ({ name = 'app' }: PackageJson): string =>
  /([A-Za-z0-9][A-Za-z0-9._-]*)$/.exec(name.slice(-MAX_NAME))?.[1] ?? 'app';

/** What a framework of Node.js is, as data: how it is known, and what its build leaves behind. */
import type { PublicPrefix } from '../../../protocol/public-variables.ts';
import type { Need } from '../needs.ts';
import type { PackageJson } from './package-json.ts';

/** What the build leaves when it is only files. */
export interface StaticOutput {
  readonly folder: string;
  /** Unknown paths get index.html: the app routes in the browser. */
  readonly singlePage: boolean;
  /** The page that unknown paths get then, when it is not index.html. */
  readonly fallback?: string;
  /** Folder of files whose names all change with their content. */
  readonly hashed?: string;
  /** Folder with such files and others: bundlers put `public/assets` there as it is. */
  readonly partlyHashed?: string;
}

/** The first of a framework's configuration files that is there; empty without any. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

export interface Framework {
  /** Stored in plans: never rename. */
  readonly name: string;
  /** One of these packages is listed. */
  readonly packages: readonly string[];
  /** Only a tool that other runtimes use for their assets too: no more than likely. */
  readonly bundler?: true;
  /** Port that its server listens on when nothing says another one. */
  readonly port?: number;
  /** Build command when package.json has no script for it. */
  readonly build?: string | ((config: ConfigFile) => string);
  /** Scripts that build it, when there is no `build`. */
  readonly buildScripts?: readonly string[];
  /** The build as files; null when this project's build is a server. Absent: always a server. */
  readonly output?: (manifest: PackageJson, config: ConfigFile) => StaticOutput | null;
  /** The path that its files are built for; null for the root. */
  readonly servedAt?: (manifest: PackageJson, config: ConfigFile) => string | null;
  /** Package that its server needs when it starts, beside its own. */
  readonly needsAtStart?: (config: ConfigFile) => string | null;
  /** Scripts that may start it, before `start`. */
  readonly startScripts?: readonly string[];
  /** Start command when no script does. */
  readonly start?: string | ((manifest: PackageJson, config: ConfigFile) => string | null);
  /** Scripts like this are for development, or for a server that its build does not make, and never start it in production. */
  readonly development?: RegExp | ((config: ConfigFile) => RegExp);
  /** Its configuration files; the first that is there is read. */
  readonly config?: readonly string[];
  /** How names of variables begin that its build writes into files for the browser. */
  readonly publicPrefixes?: readonly PublicPrefix[];
  /** Environment variables that make the server reachable. */
  readonly env?: Readonly<Record<string, string>>;
  /** Variables that it does not start without. */
  readonly needs?: readonly Need[];
  /** Variables that its build command gets. */
  readonly buildEnv?: (manifest: PackageJson, config: ConfigFile) => Readonly<Record<string, string>> | null;
  readonly warning?: (manifest: PackageJson, config: ConfigFile) => string | null;
  /** Why its build cannot run here, with the mend; asked where nobody says how it starts. */
  readonly unfit?: (manifest: PackageJson, config: ConfigFile) => string | null;
}

/** A configuration as text without its comments, in which other settings are often kept. JSON has none that matter. */
export function withoutComments({ path, text }: ConfigFile): ConfigFile {
  if (path.endsWith('.json')) return { path, text };
  return { path, text: text.replace(/(^|\s)(?:\/\*[^]*?(?:\*\/|$)|\/\/.*)/g, '$1') };
}

export const withExtensions = (name: string): string[] =>
  ['js', 'ts', 'mjs', 'mts', 'cjs'].map((end) => `${name}.${end}`);

/** A folder that a configuration file names as `key: 'folder'`. */
export function named({ text }: ConfigFile, key: string): string | null {
  const folder = new RegExp(`["']?\\b${key}["']?\\s*:\\s*['"](?:\\./)?([A-Za-z0-9_@][A-Za-z0-9._/@-]*?)/?['"]`).exec(
    text,
  )?.[1];
  return folder === undefined || folder.split('/').includes('..') ? null : folder;
}

/** Longest name of a package that npm takes. */
const MAX_NAME = 214;

/** The last part of the package's name: `@shop/web` → `web`. */
export const shortName = ({ name = 'app' }: PackageJson): string =>
  /([A-Za-z0-9][A-Za-z0-9._-]*)$/.exec(name.slice(-MAX_NAME))?.[1] ?? 'app';

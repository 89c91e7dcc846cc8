/** Node.js and Bun: a library for SQLite among the dependencies of production, or the built-in one in the code. */
import { jsonLines } from '../json-lines.ts';
import { readPackageJson } from '../node/package-json.ts';
import type { PackageJson } from '../node/package-json.ts';
import type { RepositoryView } from '../repository.ts';
import { importsOf } from './source-files.ts';

const LIBRARIES = ['better-sqlite3', 'better-sqlite3-multiple-ciphers', 'sqlite3', 'sqlite', 'bun-sqlite3'];
/** Beside a client of a server, SQLite is usually for development; Nuxt Content only caches in it. */
const OTHERS =
  /^(?:pg|pg-promise|postgres|@neondatabase\/serverless|@vercel\/postgres|mysql2?|mariadb|mongodb|mongoose|mssql|tedious|oracledb|@libsql\/client|@planetscale\/database|@nuxt\/content)$/;
const BUILT_IN = /^(?!\s*\/\/).*["'](?:node|bun):sqlite["']/;

export async function nodeFile(app: RepositoryView): Promise<string | null> {
  const text = await app.text('package.json');
  const manifest = text === null ? null : await readPackageJson(app);
  if (text === null || manifest === null || usesServer(manifest)) return null;
  const library = LIBRARIES.find((name) => Object.hasOwn(manifest.dependencies, name));
  if (library !== undefined) {
    const line = jsonLines(text).get(`dependencies.${library}`);
    return `package.json${line === undefined ? '' : ` line ${line}`} lists ${library}`;
  }
  const { used } = await importsOf(app, kindOf, BUILT_IN);
  return used === null ? null : `${used} imports SQLite`;
}

const usesServer = ({ dependencies }: PackageJson): boolean =>
  Object.keys(dependencies).some((name) => OTHERS.test(name));

function kindOf(name: string): 'app' | 'test' | null {
  if (!/\.[cm]?[jt]sx?$/.test(name) || /\.d\.[cm]?ts$/.test(name)) return null;
  return /[.-](?:test|spec)\.\w+$/.test(name) ? 'test' : 'app';
}

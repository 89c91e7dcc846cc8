/**
 * Libraries that are compiled into Node and into SQLite's addon. package-lock.json does not name them, but who runs a
 * host wants to know whether a vulnerability of OpenSSL concerns it.
 */
import { readFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { mustRun } from '../stack/run-program.ts';
import type { LockedPackage } from './lock.ts';
import { SQLITE_FOLDER } from './addon.ts';

/** A library inside a package. */
export interface Part {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  /** CPE 2.3, the name in the list of vulnerabilities (NVD); null if it has none there. */
  readonly cpe: string | null;
}

/** What process.versions names beside libraries: interfaces and data. */
const NO_LIBRARIES = new Set(['node', 'modules', 'napi', 'cldr', 'tz', 'unicode']);
/** Names in process.versions that are not the libraries' own. */
const OWN_NAMES: Readonly<Record<string, string>> = { ares: 'c-ares', uv: 'libuv' };
const FROM_NPM = new Set(['acorn', 'amaro', 'undici']);
/** Vendor and product of a CPE. */
const PRODUCTS: Readonly<Record<string, string>> = {
  brotli: 'google:brotli',
  'c-ares': 'c-ares:c-ares',
  icu: 'unicode:international_components_for_unicode',
  libuv: 'libuv:libuv',
  llhttp: 'llhttp:llhttp',
  nghttp2: 'nghttp2:nghttp2',
  openssl: 'openssl:openssl',
  sqlite: 'sqlite:sqlite',
  v8: 'google:v8',
  zlib: 'zlib:zlib',
  zstd: 'facebook:zstandard',
};

/** @param product vendor and product, as `openssl:openssl` */
export const cpeOf = (product: string, version: string): string => `cpe:2.3:a:${product}:${version}:*:*:*:*:*:*:*`;

function partOf(name: string, version: string): Part {
  const product = PRODUCTS[name];
  return {
    name,
    version,
    purl: `pkg:${FROM_NPM.has(name) ? 'npm' : 'generic'}/${name}@${version}`,
    // Node adds to versions which state of the sources it has: `1.3.2.1-motley-8002e91`.
    cpe: product === undefined ? null : cpeOf(product, version.replace(/-.*/, '')),
  };
}

/**
 * The libraries in a package with Node, for either target: this machine's Node names them.
 * @throws Error if this machine's is another version
 */
export async function partsOfNode(root: string, { name, version }: LockedPackage): Promise<readonly Part[]> {
  const node = join(root, `node_modules/node-linux-${arch()}/bin/node`);
  const told = await mustRun('node', [node, '--print', 'JSON.stringify(process.versions)']);
  const versions = z.record(z.string(), z.string()).parse(JSON.parse(told));
  if (versions['node'] !== version)
    throw new Error(`${name} is ${version}, and this machine's is ${versions['node']}.`);
  return Object.entries(versions)
    .filter(([key, value]) => !NO_LIBRARIES.has(key) && value !== '')
    .map(([key, value]) => partOf(OWN_NAMES[key] ?? key, value))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** @throws Error if the sources of SQLite name no version */
export function partsOfAddon(root: string): readonly Part[] {
  const header = readFileSync(join(root, SQLITE_FOLDER, 'sqlite3.h'), 'utf8');
  const version = /^#define SQLITE_VERSION +"([\d.]+)"$/m.exec(header)?.[1];
  if (version === undefined) throw new Error('The sources of SQLite name no version.');
  return [partOf('sqlite', version)];
}

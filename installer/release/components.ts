/** Third-party parts of a release: its list of components (CycloneDX) and their licences. */
import { join } from 'node:path';
import type { Lock, LockedPackage } from './lock.ts';
import { licenceTexts } from './lock.ts';
import { cpeOf, partsOfAddon, partsOfNode } from './parts.ts';
import type { Part } from './parts.ts';

/** A package, where its files are, and the libraries compiled into it. */
export interface Component {
  readonly locked: LockedPackage;
  readonly folder: string;
  readonly parts: readonly Part[];
}

/**
 * The bundled packages. One that is installed in two places is one component.
 * @param paths as the lock has them
 */
export function componentsOf(root: string, lock: Lock, paths: readonly string[]): readonly Component[] {
  const components = paths.map((path) => {
    const locked = lock.package(path);
    return { locked, folder: join(root, path), parts: locked.name === 'better-sqlite3' ? partsOfAddon(root) : [] };
  });
  return [...new Map(components.map((component) => [purlOf(component.locked), component])).values()];
}

/** @param folder of the package with a target's Node, which may be in a cache */
export async function nodeComponent(root: string, locked: LockedPackage, folder: string): Promise<Component> {
  return { locked, folder, parts: await partsOfNode(root, locked) };
}

/**
 * CycloneDX 1.6 (ECMA-424) as JSON. Without serial number and time, so that the same release has the same bytes.
 * @param version of orkestr
 */
export function billOfMaterials(version: string, components: readonly Component[]): string {
  const bill = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: { type: 'application', name: 'orkestr', version, 'bom-ref': `orkestr@${version}` },
    },
    // A flat list: not every scanner looks into components of components.
    components: components.flatMap(({ locked, parts }) => [
      packageEntry(locked),
      ...parts.map((part) => partEntry(locked, part)),
    ]),
    dependencies: components
      .filter(({ parts }) => parts.length > 0)
      .map(({ locked, parts }) => ({ ref: purlOf(locked), dependsOn: parts.map((part) => partRef(locked, part)) })),
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

const purlOf = ({ name, version }: LockedPackage): string => `pkg:npm/${name.replace('@', '%40')}@${version}`;
/** Two packages may contain the same version of a library. */
const partRef = (container: LockedPackage, { name, version }: Part): string =>
  `${purlOf(container)}#${name}@${version}`;
const isNode = ({ name }: LockedPackage): boolean => name.startsWith('node-linux-');

function packageEntry(locked: LockedPackage): object {
  const { name, version, integrity, licence } = locked;
  const purl = purlOf(locked);
  const isExpression = /\s(?:AND|OR|WITH)\s/.test(licence);
  return {
    type: isNode(locked) ? 'platform' : 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    // Vulnerabilities of Node are listed under its own name, not under that of the npm package.
    ...(isNode(locked) && { cpe: cpeOf('nodejs:node.js', version) }),
    // A name from SPDX's list is an `id`; a package without a licence gets a free name.
    licenses: [
      isExpression ? { expression: licence } : { license: licence === 'unknown' ? { name: licence } : { id: licence } },
    ],
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex') }],
  };
}

/** Its licence is in the book of licences. */
const partEntry = (container: LockedPackage, part: Part): object => ({
  type: 'library',
  'bom-ref': partRef(container, part),
  name: part.name,
  version: part.version,
  purl: part.purl,
  ...(part.cpe !== null && { cpe: part.cpe }),
  description: `compiled into ${container.name}`,
});

const SQLITE_TEXT = `SQLite is in the public domain: its author disclaims copyright to its source code
(https://sqlite.org/copyright.html).`;

/** Every licence text once, with the packages and libraries that it applies to. */
export function licenceBook(components: readonly Component[]): string {
  const byText = new Map<string, string[]>();
  const add = (text: string, names: readonly string[]): unknown =>
    byText.set(text, [...(byText.get(text) ?? []), ...names]);
  for (const { locked, folder, parts } of components) {
    const texts = licenceTexts(folder);
    const text = texts.length > 0 ? texts.join('\n\n') : `Licence: ${locked.licence}. The package brings no text.`;
    const inside = parts.map(({ name, version }) => `${name} ${version} (in ${locked.name})`);
    add(text, [`${locked.name} ${locked.version} (${locked.licence})`]);
    // Node's text has those of the libraries in it.
    if (inside.length > 0) add(isNode(locked) ? text : SQLITE_TEXT, inside);
  }
  const rule = '='.repeat(78);
  return [...byText].map(([text, names]) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text}\n`).join('\n');
}

/** Third-party parts of a release: its list of components (CycloneDX) and their licences. */
import { join } from 'node:path';
import type { Lock, LockedPackage } from './lock.ts';
import { licenceTexts } from './lock.ts';

/** A package, and where its files are. */
export interface Component {
  readonly locked: LockedPackage;
  readonly folder: string;
}

export const componentsOf = (root: string, lock: Lock, paths: readonly string[]): readonly Component[] =>
  paths.map((path) => ({ locked: lock.package(path), folder: join(root, path) }));

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
    components: components.map(({ locked }) => componentEntry(locked)),
  };
  return `${JSON.stringify(bill, null, 2)}\n`;
}

function componentEntry({ name, version, integrity, licence }: LockedPackage): object {
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
  const isExpression = /\s(?:AND|OR|WITH)\s/.test(licence);
  return {
    type: name.startsWith('node-linux-') ? 'platform' : 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    // A name from SPDX's list is an `id`; a package without a licence gets a free name.
    licenses: [
      isExpression ? { expression: licence } : { license: licence === 'unknown' ? { name: licence } : { id: licence } },
    ],
    hashes: [{ alg: 'SHA-512', content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex') }],
  };
}

/** Every licence text once, with the packages that it applies to. */
export function licenceBook(components: readonly Component[]): string {
  const byText = new Map<string, string[]>();
  for (const { locked, folder } of components) {
    const texts = licenceTexts(folder);
    const text = texts.length > 0 ? texts.join('\n\n') : `Licence: ${locked.licence}. The package brings no text.`;
    byText.set(text, [...(byText.get(text) ?? []), `${locked.name} ${locked.version} (${locked.licence})`]);
  }
  const rule = '='.repeat(78);
  return [...byText].map(([text, names]) => `${rule}\n${names.join('\n')}\n${rule}\n\n${text}\n`).join('\n');
}

/** package-lock.json, and what each package declares: version, licence, hash, licence text. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const LockFile = z.object({
  packages: z.record(
    z.string(),
    z.object({ version: z.string().default(''), integrity: z.string().default(''), license: z.string().optional() }),
  ),
});

const Manifest = z.object({
  license: z.union([z.string(), z.object({ type: z.string() }).transform(({ type }) => type)]).optional(),
});

export interface LockedPackage {
  readonly name: string;
  readonly version: string;
  /** Subresource integrity, `sha512-…`. */
  readonly integrity: string;
  /** SPDX expression, or what the package declares instead; "unknown" if it declares nothing. */
  readonly licence: string;
}

export interface Lock {
  /** @param path as the lock has it: `node_modules/ws` */
  package(path: string): LockedPackage;
}

/** @throws if package-lock.json is missing, or not as npm writes it */
export function readLock(root: string): Lock {
  const { packages } = LockFile.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')));
  return {
    package(path) {
      const locked = packages[path];
      if (locked === undefined) throw new Error(`package-lock.json has no ${path}.`);
      const { version, integrity, license } = locked;
      return { name: nameOf(path), version, integrity, licence: license ?? licenceOf(join(root, path)) };
    },
  };
}

/** `node_modules/a/node_modules/@b/c` → `@b/c`. */
const nameOf = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

function licenceOf(folder: string): string {
  const file = join(folder, 'package.json');
  return (existsSync(file) ? Manifest.parse(JSON.parse(readFileSync(file, 'utf8'))).license : undefined) ?? 'unknown';
}

/** The texts of the licence and notice files of a package's folder, in order of their names. */
export function licenceTexts(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i.test(name))
    .toSorted()
    .map((name) => readFileSync(join(folder, name), 'utf8').trim());
}

/** Further releases of a lab: the first one with another version and key and, if needed, with something broken. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { packFolder } from '../../installer/release/archive.ts';
import { readReleaseKey } from '../../installer/release/signature.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import manifest from '../../package.json' with { type: 'json' };
import {
  archiveName,
  INSTALLER_FILE,
  MANIFEST_FILE,
  ORIGIN_FILE,
  ReleaseManifest,
  ReleaseTarget,
  SIGNATURE_FILE,
  SUMS_FILE,
} from '../../protocol/release.ts';
import { sumOf } from '../../agent/upgrade/verify.ts';

export interface NextRelease {
  readonly version: string;
  /** Inserts text after the first line of a file below `lib/`. */
  readonly before?: { readonly file: string; readonly text: string };
}

/**
 * Packs it below `out`/VERSION.
 * @param first folder of the release that `npm run release` made @param keyFile key that signs it
 */
export async function makeNext(first: string, out: string, keyFile: string, next: NextRelease): Promise<void> {
  const { version } = next;
  const target = ReleaseTarget.parse(`linux-${arch()}`);
  const folder = join(out, version);
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(out, '.work-'));
  try {
    const old = archiveName(manifest.version, target);
    await mustRun('tar', ['tar', '--extract', '--file', join(first, old), '--directory', work]);
    const archive = archiveName(version, target);
    const tree = join(work, archive.replace('.tar.xz', ''));
    renameSync(join(work, old.replace('.tar.xz', '')), tree);
    const key = readReleaseKey(keyFile);
    change(tree, key.publicKey, next);
    await packFolder(tree, join(folder, archive), 0);
    const sums = `${await sumOf(join(folder, archive))}  ${archive}\n`;
    writeFileSync(join(folder, SUMS_FILE), sums);
    writeFileSync(join(folder, SIGNATURE_FILE), key.sign(sums));
    const files = [{ name: archive, bytes: 0, sha256: sums.slice(0, 64) }];
    const list = ReleaseManifest.parse({ version, publicKey: key.publicKey, files });
    writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify(list));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function change(tree: string, publicKey: string, { version, before }: NextRelease): void {
  // As the bundlers write a string from package.json.
  const [from, to] = [`\`${manifest.version}\``, `\`${version}\``];
  let changed = 0;
  for (const name of readdirSync(join(tree, 'lib'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.cjs')) continue;
    const path = join(tree, 'lib', name);
    const text = readFileSync(path, 'utf8');
    const next = text.replaceAll(from, to);
    if (next === text) continue;
    writeFileSync(path, next);
    changed += 1;
  }
  if (changed < 2) throw new Error(`The bundles say their version in another way than ${from}.`);
  for (const name of [ORIGIN_FILE, 'VERSION', INSTALLER_FILE]) {
    const path = join(tree, name);
    const text = readFileSync(path, 'utf8').replaceAll(manifest.version, version);
    // In the installer: the first release is signed with another key.
    writeFileSync(path, text.replace(/^RELEASE_KEY='.*'$/m, `RELEASE_KEY='${publicKey}'`));
  }
  if (before === undefined) return;
  const path = join(tree, 'lib', before.file);
  // After the `#!` line.
  const [first = '', ...rest] = readFileSync(path, 'utf8').split('\n');
  writeFileSync(path, [first, before.text, ...rest].join('\n'));
}

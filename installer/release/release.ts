/** Makes a release: an archive for each target, its list of components, installer, checksums and their signature. */
import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import manifest from '../../package.json' with { type: 'json' };
import { archiveName, INSTALLER_FILE, MANIFEST_FILE, SIGNATURE_FILE, SUMS_FILE } from '../../protocol/release.ts';
import type { ReleaseFile, ReleaseManifest, ReleaseTarget } from '../../protocol/release.ts';
import { PROTOCOL_VERSION } from '../../protocol/versions.ts';
import { sqliteAddon } from './addon.ts';
import { packFolder } from './archive.ts';
import { makeBundles } from './bundles.ts';
import { billOfMaterials, componentsOf, licenceBook, nodeComponent } from './components.ts';
import type { Component } from './components.ts';
import { installerText } from './installer-text.ts';
import { readLock } from './lock.ts';
import { nodePackage } from './node-binary.ts';
import { readReleaseKey } from './signature.ts';
import { layOut } from './tree.ts';

interface ReleasePlan {
  /** Folder of the repository. */
  readonly root: string;
  /** Emptied, then filled. */
  readonly out: string;
  readonly targets: readonly ReleaseTarget[];
  readonly keyFile: string;
  /** Signs the releases after this one; if absent, the same key does. */
  readonly nextKeyFile?: string;
  /** Where the release will be published, without trailing slash; empty if nowhere. */
  readonly url: string;
  /** Of xz(1), 0 to 9. */
  readonly preset: number;
  readonly say: (text: string) => void;
}

/**
 * The same sources and key give the same bytes.
 * @throws OrkestrError ORK_PREPARE_FAILED, ORK_CONFIG
 */
export async function makeRelease(plan: ReleasePlan): Promise<ReleaseManifest> {
  const { root, out, targets, say } = plan;
  const { version } = manifest;
  const key = readReleaseKey(plan.keyFile);
  const nextKey = plan.nextKeyFile === undefined ? key : readReleaseKey(plan.nextKeyFile);
  const lock = readLock(root);
  const installerWith = (sums: string): string =>
    installerText(root, {
      RELEASE_VERSION: version,
      RELEASE_KEY: key.publicKey,
      RELEASE_URL: plan.url,
      RELEASE_SUMS_SHA256: sums,
    });
  const installer = installerWith('');
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), 'ork-release-'));
  try {
    const lib = join(work, 'lib');
    say('bundles');
    const packages = componentsOf(root, lock, await makeBundles(root, lib));
    for (const target of targets) {
      const node = await nodePackage(root, target, lock);
      say(`${target}: SQLite's addon`);
      const addon = await sqliteAddon(root, target);
      const components: readonly Component[] = [
        await nodeComponent(root, lock.package(`node_modules/node-${target}`), node),
        ...packages,
      ];
      const name = archiveName(version, target);
      const folder = join(work, name.replace('.tar.xz', ''));
      const bill = billOfMaterials(version, components);
      layOut(folder, {
        root,
        origin: { version, publicKey: nextKey.publicKey, protocol: PROTOCOL_VERSION, url: plan.url },
        lib,
        node,
        addon,
        installer,
        billOfMaterials: bill,
        licences: licenceBook(components),
      });
      say(name);
      await packFolder(folder, join(out, name), plan.preset);
      writeFileSync(join(out, name.replace('.tar.xz', '.cdx.json')), bill);
      rmSync(folder, { recursive: true });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const sums = (await filesOf(out)).map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('');
  writeFileSync(join(out, SUMS_FILE), sums);
  writeFileSync(join(out, SIGNATURE_FILE), key.sign(sums));
  writeFileSync(join(out, INSTALLER_FILE), installerWith(await sha256Of(join(out, SUMS_FILE))), { mode: 0o755 });
  const { publicKey } = key;
  const made: ReleaseManifest = { version, publicKey, protocol: PROTOCOL_VERSION, files: await filesOf(out) };
  writeFileSync(join(out, MANIFEST_FILE), `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

const filesOf = (folder: string): Promise<ReleaseFile[]> =>
  Promise.all(
    readdirSync(folder)
      .toSorted()
      .map(async (name) => {
        const path = join(folder, name);
        return { name, bytes: statSync(path).size, sha256: await sha256Of(path) };
      }),
  );

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/**
 * Base images that also carry a package registry, made from Debian's packages, for languages whose registry may be out
 * of reach. Only the image tells the package managers where it is, so plans and generated Dockerfiles stay the same,
 * and the managers really install. Each is one folder of registries/.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';

const KINDS = ['python', 'ruby', 'java', 'go'] as const;
const BUILD_TIMEOUT_MS = 900_000;

/**
 * Builds the missing images of `kinds`, and writes the names of all base images to a file for `ORKESTR_BASE_IMAGES`.
 * @returns the path of that file
 * @throws OrkestrError ORK_PREPARE_FAILED with the end of the build's output
 */
export async function makeRegistries(
  folder: string,
  kinds: readonly string[],
  say: (line: string) => void,
): Promise<string> {
  const names = BaseImages.parse({});
  for (const kind of KINDS.filter((known) => kinds.includes(known))) {
    const base = names[kind];
    // Keeps the tag, which names the version. `name:tag` or `host/name:tag`.
    const name = `orkestr-e2e-${kind}${base.slice(base.lastIndexOf(':'))}`;
    say(`${name}: a registry of Debian's packages on ${base}`);
    const context = join(ROOT, 'test/apps/registries', kind);
    await mustRun(name, ['docker', 'build', '--quiet', '--build-arg', `BASE=${base}`, '--tag', name, context], {
      // The engine's own builder takes its base images from the engine, and asks no registry about them.
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    names[kind] = name;
  }
  const file = join(folder, 'base-images.json');
  writeFileSync(file, JSON.stringify(names));
  return file;
}

/**
 * Base images that also carry a package registry, made from what Debian has packaged: for languages whose registry may be
 * out of reach. Their package managers are told where it is by the image alone, so plans and generated Dockerfiles stay as
 * they are, and the managers really install. Each is one folder of registries/.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { mustRun } from '../../installer/stack/run-program.ts';
import { ROOT } from '../../installer/stack/stack.ts';

const KINDS = ['python', 'ruby', 'java', 'go'] as const;
const BUILD_TIMEOUT_MS = 900_000;

/**
 * Builds what is absent of the `kinds`, and writes the names of all base images into a file for `ORKESTR_BASE_IMAGES`.
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
    // The tag stays: it tells the version. `name:tag` or `host/name:tag`.
    const name = `orkestr-e2e-${kind}${base.slice(base.lastIndexOf(':'))}`;
    say(`${name}: a registry of Debian's packages on ${base}`);
    const context = join(ROOT, 'test/apps/registries', kind);
    await mustRun(name, ['docker', 'build', '--quiet', '--build-arg', `BASE=${base}`, '--tag', name, context], {
      // The engine's own builder: it takes its base images from the engine, and asks no registry about them.
      env: { ...process.env, DOCKER_BUILDKIT: '0' },
      timeoutMs: BUILD_TIMEOUT_MS,
    });
    names[kind] = name;
  }
  const file = join(folder, 'base-images.json');
  writeFileSync(file, JSON.stringify(names));
  return file;
}

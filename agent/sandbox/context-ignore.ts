/** Which files of a checkout .dockerignore keeps out of the build context. */
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import dockerignore from '@balena/dockerignore';

export interface IgnoreRules {
  ignores(name: string): boolean;
  /** With `!` patterns something inside an ignored folder may be wanted after all. */
  readonly hasExceptions: boolean;
}

/**
 * `<path of the Dockerfile>.dockerignore` goes before `.dockerignore`, as BuildKit has it.
 * @param files of the plan, path → text: they go before those of the checkout
 */
export async function ignoreRules(
  directory: string,
  dockerfilePath: string,
  files: ReadonlyMap<string, string>,
): Promise<IgnoreRules> {
  const textOf = async (name: string): Promise<string | null> =>
    files.get(name) ?? (await readIfThere(join(directory, name)));
  const text = (await textOf(`${dockerfilePath}.dockerignore`)) ?? (await textOf('.dockerignore')) ?? '';
  const rules = dockerignore.default().add(text);
  return { ignores: (name) => rules.ignores(name), hasExceptions: /^\s*!/m.test(text) };
}

/** Text of a regular file; a link in its place is not followed. */
async function readIfThere(path: string): Promise<string | null> {
  const found = await lstat(path).catch(() => null); // not there: most repositories have none
  return found?.isFile() === true ? readFile(path, 'utf8') : null;
}

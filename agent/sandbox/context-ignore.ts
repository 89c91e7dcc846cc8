/** Which files of a checkout .dockerignore keeps out of the build context. */
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../protocol/errors.ts';
import { ignorePatterns } from './ignore-pattern.ts';

/** Every file is held against every pattern: more would take the agent's time, and nobody writes so many by hand. */
const MAX_BYTES = 65_536;

export interface IgnoreRules {
  ignores(name: string): boolean;
  /** With `!` patterns something inside an ignored folder may be wanted after all. */
  readonly hasExceptions: boolean;
}

/**
 * `<path of the Dockerfile>.dockerignore` goes before `.dockerignore`, as BuildKit has it.
 * @param files of the plan, path → text: they go before those of the checkout
 * @throws OrkestrError ORK_MANIFEST_INVALID for one that is too large
 */
export async function ignoreRules(
  directory: string,
  dockerfilePath: string,
  files: ReadonlyMap<string, string>,
): Promise<IgnoreRules> {
  const textOf = async (name: string): Promise<string | null> =>
    files.get(name) ?? (await readIfThere(directory, name));
  const text = (await textOf(`${dockerfilePath}.dockerignore`)) ?? (await textOf('.dockerignore')) ?? '';
  const patterns = ignorePatterns(text);
  return {
    ignores(name) {
      const parts = name.split('/');
      return patterns.findLast((pattern) => pattern.fits(parts))?.isException === false;
    },
    hasExceptions: patterns.some(({ isException }) => isException),
  };
}

/** Text of a regular file; a link in its place is not followed. */
async function readIfThere(directory: string, name: string): Promise<string | null> {
  const path = join(directory, name);
  const found = await lstat(path).catch(() => null); // not there: most repositories have none
  if (found?.isFile() !== true) return null;
  if (found.size > MAX_BYTES) {
    throw new OrkestrError('ORK_MANIFEST_INVALID', `${name} is larger than ${MAX_BYTES} bytes.`);
  }
  return readFile(path, 'utf8');
}

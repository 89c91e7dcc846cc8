/** Which files .dockerignore excludes from the build context. */
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError } from '../../../protocol/errors.ts';
import { ignorePatterns } from './ignore-pattern.ts';

/** Limit of its size: the agent matches every file against every pattern, and hand-written files are far smaller. */
const MAX_BYTES = 65_536;

export interface IgnoreRules {
  ignores(name: string): boolean;
  /** Whether there are `!` patterns, which may include something inside an ignored folder. */
  readonly hasExceptions: boolean;
}

/**
 * Reads `<path of the Dockerfile>.dockerignore`, else `.dockerignore`, like BuildKit.
 * @param files files of the plan, path → text; they take precedence over the checkout's
 * @throws OrkestrError ORK_MANIFEST_INVALID if the file is too large
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

/** Text of a regular file; does not follow a symbolic link in its place. */
async function readIfThere(directory: string, name: string): Promise<string | null> {
  const path = join(directory, name);
  const found = await lstat(path).catch(() => null); // missing, as in most repositories
  if (found?.isFile() !== true) return null;
  if (found.size > MAX_BYTES) {
    throw new OrkestrError('ORK_MANIFEST_INVALID', `${name} is larger than ${MAX_BYTES} bytes.`);
  }
  return readFile(path, 'utf8');
}

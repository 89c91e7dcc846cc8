/** A git repository with a few megabytes that do not compress. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../../../installer/stack/run-program.ts';
import { Payload } from '../../../bench/cutover/app/payload.ts';

const FILES = 300;
const FILE_BYTES = 12 * 1024;
const IDENTITY = ['-c', 'user.name=test', '-c', 'user.email=test@example.org'];

/** Creates FOLDER/repository.git, bare. @returns the commit at its HEAD */
export async function makeRepository(folder: string): Promise<string> {
  const tree = join(folder, 'tree');
  mkdirSync(tree);
  const payload = new Payload().slice(FILES * FILE_BYTES);
  for (let file = 0; file < FILES; file += 1) {
    writeFileSync(join(tree, `file-${file}`), payload.subarray(file * FILE_BYTES, (file + 1) * FILE_BYTES));
  }
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  const git = (...args: string[]): Promise<string> => mustRun(`git ${args[0]}`, ['git', '-C', tree, ...args], { env });
  await git('init', '--quiet');
  await git('add', '.');
  await git(...IDENTITY, 'commit', '--quiet', '--message', 'all files');
  await git('clone', '--quiet', '--bare', tree, join(folder, 'repository.git'));
  return (await git('rev-parse', 'HEAD')).trim();
}

/** The files of the repository as git lists them, and their imports. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from '../../installer/stack/stack.ts';

/** Every file that is or could be committed; paths relative to the repository. */
export function repositoryFiles(): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const files = execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\0').filter(Boolean);
  return [...new Set(files)].filter((file) => existsSync(join(ROOT, file))).toSorted();
}

/** Our own code. Fixtures count as code of others. */
export const sourceFiles = (): string[] =>
  repositoryFiles().filter((file) => /\.(?:ts|tsx|mjs|mts|js)$/.test(file) && !isForeign(file));

const isForeign = (file: string): boolean =>
  file.startsWith('test/fixtures/apps/') || file.startsWith('installer/sample/');

/** Tests and their helpers (`test-x.ts`). */
export const isTest = (file: string): boolean => /\.test\.tsx?$|\/test-[^/]+\.(?:ts|mjs)$/.test(file);

export const readSource = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

export interface Import {
  readonly from: string;
  /** Path relative to the repository for a file of ours, else the name of a package or of a Node module. */
  readonly to: string;
  readonly ours: boolean;
  readonly typeOnly: boolean;
}

const STATEMENT = /^(?:import|export)\s+(type\s+)?(?:[^'";]*?\sfrom\s+)?'([^']+)'/gm;
const DYNAMIC = /\b(?:import|require)\(\s*'([^']+)'/g;

/** Static and dynamic imports of one file. */
export function importsOf(file: string): Import[] {
  const text = readSource(file);
  const found = [...text.matchAll(STATEMENT)].map(([, type, to]) => ({ to: to ?? '', typeOnly: type !== undefined }));
  const dynamic = [...text.matchAll(DYNAMIC)].map(([, to]) => ({ to: to ?? '', typeOnly: false }));
  return [...found, ...dynamic].map(({ to, typeOnly }) => {
    const ours = to.startsWith('.');
    return { from: file, to: ours ? normalize(join(dirname(file), to)) : to, ours, typeOnly };
  });
}

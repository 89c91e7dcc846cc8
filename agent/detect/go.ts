/** Detector: Go, by go.mod and a main package. */
import type { Evidence } from '../../protocol/steps.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Detector, Facts, Finding, Miss } from './detector.ts';
import { BINARY, writeGo } from './dockerfiles/go.ts';
import type { RepositoryView } from './repository.ts';
import { admits, imageVersion } from './versions.ts';

/** Go files of one folder that are read to find its package. */
const MAX_FILES = 50;
/** Enough of a file to reach its package clause behind a licence. */
const HEAD_BYTES = 16_384;

export const go: Detector = {
  name: 'go',
  markers: ['go.mod'],

  async detect({ repository, baseImages }): Promise<Finding | Miss> {
    const text = await repository.text('go.mod');
    if (text === null) return { missed: 'no go.mod' };
    const module = /^module\s+"?(\S+?)"?\s*(?:\/\/.*)?$/m.exec(text)?.[1];
    if (module === undefined)
      throw new OrkestrError('ORK_MANIFEST_INVALID', 'go.mod cannot be read: it has no module line.');
    const mains = await mainPackages(repository, module);
    const [main] = mains;
    if (main === undefined) return { missed: 'go.mod, but no main package in the root directory or in cmd/' };
    const version = /^go\s+(\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];
    const facts: Facts = {
      framework: 'Go',
      runtime: 'go',
      buildCommand: `go build -trimpath -ldflags="-s -w" -o /out/app ${main.path}`,
      startCommand: BINARY,
    };
    const evidence: Evidence[] = [
      { subject: 'framework', value: 'Go', from: 'go.mod' },
      { subject: 'runtime', value: 'Go', from: 'go.mod' },
      ...(version === undefined ? [] : [{ subject: 'version', value: version, from: 'go.mod' } as const]),
      { subject: 'build', value: facts.buildCommand ?? '', from: main.file },
      { subject: 'start', value: BINARY, from: 'go build' },
    ];
    const recipe = {
      downloads: /^\s*require\b/m.test(text) && !(await repository.has('vendor/modules.txt')),
      hasSum: await repository.has('go.sum'),
    };
    return {
      facts,
      evidence,
      warnings: [...severalWarnings(mains), ...versionWarnings(version, text, baseImages.go)],
      dockerfile: { origin: 'generated', write: (final, surroundings) => writeGo(recipe, final, surroundings) },
    };
  },
};

interface MainPackage {
  /** As `go build` takes it: `./cmd/server`. */
  readonly path: string;
  /** The file that says `package main`. */
  readonly file: string;
}

/** Main packages in the root, then in cmd/; of several in cmd/ the one named like the module, or `server`, comes first. */
async function mainPackages(repository: RepositoryView, module: string): Promise<MainPackage[]> {
  const found: MainPackage[] = [];
  const root = await mainFile(repository, '.');
  if (root !== null) found.push({ path: '.', file: root });
  const name = module.split('/').findLast((part) => !/^v\d+$/.test(part)) ?? '';
  const folders = (await repository.entries('cmd')).filter((entry) => /^[A-Za-z0-9_][A-Za-z0-9._-]*\/$/.test(entry));
  const rank = (folder: string): number => [`${name}/`, 'server/', 'web/', 'api/'].indexOf(folder) + 1 || 99;
  for (const folder of ['', ...folders].toSorted((a, b) => rank(a) - rank(b))) {
    const path = `cmd/${folder}`.replace(/\/$/, '');
    const file = await mainFile(repository, path);
    if (file !== null) found.push({ path: `./${path}`, file });
    if (found.length === 10) break;
  }
  return found;
}

async function mainFile(repository: RepositoryView, folder: string): Promise<string | null> {
  const files = (await repository.entries(folder)).filter((name) => name.endsWith('.go') && !name.endsWith('_test.go'));
  for (const name of files.slice(0, MAX_FILES)) {
    const path = folder === '.' ? name : `${folder}/${name}`;
    const head = (await repository.head(path, HEAD_BYTES)) ?? '';
    if (/^package\s+main\b/m.test(head) && !/^\/\/go:build\s+ignore\b/m.test(head)) return path;
  }
  return null;
}

function severalWarnings(mains: readonly MainPackage[]): string[] {
  const [first, ...others] = mains;
  if (first === undefined || others.length === 0) return [];
  return [`Several main packages: building ${first.path}, not ${others.map(({ path }) => path).join(', ')}.`];
}

function versionWarnings(version: string | undefined, text: string, base: string): string[] {
  const have = imageVersion(base);
  if (version === undefined || have === null) return [];
  const warnings: string[] = [];
  if (!admits(`<=${have}`, version))
    warnings.push(`go.mod asks for Go ${version}, but the base image ${base} has ${have}.`);
  // Before 1.21 the go command knew neither a third number nor the toolchain line, and stops at them.
  if (!admits('>=1.21', have) && (version.split('.').length > 2 || /^toolchain\b/m.test(text))) {
    warnings.push(
      `Go ${have} cannot read this go.mod: write "go ${have}" and no toolchain line, or use a newer base image.`,
    );
  }
  return warnings;
}

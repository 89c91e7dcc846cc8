/** Detector: Go, by go.mod and a main package. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Detector, Facts, DetectedApp, Miss, Stated } from '../detector.ts';
import { evidenceFor, versionFact } from '../evidence.ts';
import { BINARY } from '../dockerfiles/common.ts';
import { writeGo } from '../dockerfiles/go.ts';
import type { GoRecipe } from '../dockerfiles/go.ts';
import { goWorkspaceAround } from '../go/workspace.ts';
import type { GoWorkspace } from '../go/workspace.ts';
import { joinPath, present, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, toolVersions, versionFile } from '../runtime.ts';
import type { Runtime } from '../runtime.ts';
import { imageVersion } from '../base-images.ts';
import { admits } from '../versions.ts';

/** Go files read per folder to find its package. */
const MAX_FILES = 50;
/** Enough of a file to reach the package clause after a licence header. */
const HEAD_BYTES = 16_384;

const RUNTIME: Runtime = {
  name: 'Go',
  kind: 'go',
  digits: 2,
  // go.mod states a minimum version, so the oldest comes first.
  lines: ['1.20', '1.21', '1.22', '1.23', '1.24', '1.25', '1.26', '1.27'],
  trixieSince: '1.23',
  supported: ['1.27', '1.26'],
  standing: 'the current version',
  files: [versionFile('.go-version'), ...toolVersions('golang', 'go')],
};

/** Modules that wrap C code, and the Debian packages of their libraries: to build, and to run. */
const CGO_MODULES: Readonly<Record<string, readonly [build: readonly string[], run: readonly string[]]>> = {
  'github.com/mattn/go-sqlite3': [[], []],
  'github.com/mutecomm/go-sqlcipher': [[], []],
  'github.com/tursodatabase/go-libsql': [[], []],
  'github.com/marcboeker/go-duckdb': [[], []],
  'github.com/duckdb/duckdb-go': [[], []],
  'github.com/confluentinc/confluent-kafka-go': [[], []],
  'github.com/tree-sitter/go-tree-sitter': [[], []],
  'github.com/smacker/go-tree-sitter': [[], []],
  'github.com/DataDog/zstd': [[], []],
  'github.com/davidbyttow/govips': [['pkg-config', 'libvips-dev'], ['libvips42']],
  'github.com/h2non/bimg': [['pkg-config', 'libvips-dev'], ['libvips42']],
};

export const go: Detector = {
  name: 'go',
  frameworks: ['Go'],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository, checkout } = request;
    const text = await repository.text('go.mod');
    if (text === null) return { missed: 'no go.mod' };
    const module = /^module\s+"?(\S+?)"?\s*(?:\/\/.*)?$/m.exec(text)?.[1];
    if (module === undefined)
      throw new OrkestrError('ORK_MANIFEST_INVALID', 'go.mod cannot be read: it has no module line.');
    const mains = await mainPackages(repository, module);
    const [main] = mains;
    if (main === undefined) return { missed: 'go.mod, but no main package in the root directory or in cmd/' };
    const workspace = await goWorkspaceAround(checkout.repository, checkout.rootDirectory);
    const asking = [...(workspace === null ? [] : [workspace]), { text, path: 'go.mod' }];
    const said = asking.flatMap(saidVersion)[0] ?? null;
    const folders = workspace === null ? [repository] : [repository, within(checkout.repository, workspace.root)];
    const runtime = await chooseRuntime(request, folders, RUNTIME, said);
    const facts: Facts = {
      framework: 'Go',
      runtime: 'go',
      ...versionFact(runtime),
      buildCommand: `go build -trimpath -ldflags="-s -w" -o /out/app ${main.path}`,
      startCommand: BINARY,
    };
    const evidence = evidenceFor(
      facts,
      { framework: 'go.mod', runtime: 'go.mod', build: main.file, start: 'go build' },
      { runtime: 'Go', version: runtime.evidence },
    );
    const recipe = {
      image: runtime.image,
      folder: workspace?.folder ?? '.',
      manifests: await manifestsOf(workspace, { repository: folders.at(-1) ?? repository, text }),
      cgo: cgoOf(workspace === null ? text : workspace.modules.join('\n')),
    };
    return {
      confidence: 'certain',
      facts,
      evidence,
      warnings: [
        ...severalWarnings(mains),
        ...runtime.warnings,
        ...asking.flatMap((file) => unreadable(file, runtime.image)),
      ],
      ...(workspace !== null && { context: workspace.root }),
      dockerfile: { origin: 'generated', write: (final) => writeGo(recipe, final) },
    };
  },
};

interface MainPackage {
  /** In the form of `go build`: `./cmd/server`. */
  readonly path: string;
  /** The file with `package main`. */
  readonly file: string;
}

/** Main packages in the root, then in cmd/; in cmd/, the one named like the module, or `server`, comes first. */
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
    const path = joinPath(folder, name);
    const head = (await repository.head(path, HEAD_BYTES)) ?? '';
    if (/^package\s+main\b/m.test(head) && !/^\/\/go:build\s+ignore\b/m.test(head)) return path;
  }
  return null;
}

/** Debian packages for cgo, or null. Without cgo these modules compile too, but fail when used. */
function cgoOf(text: string): GoRecipe['cgo'] {
  const required = new Set(
    [...text.matchAll(/^[ \t]*(?:require[ \t]+)?([a-z0-9.-]+\/\S+)[ \t]+v\d/gm)].map(([, path = '']) => path),
  );
  const known = [...required].flatMap((path) => {
    const packages = CGO_MODULES[path.replace(/\/v\d+$/, '')];
    return packages === undefined ? [] : [packages];
  });
  if (known.length === 0) return null;
  return {
    build: [...new Set(['g++', 'libc6-dev', ...known.flatMap(([build]) => build)])],
    run: [...new Set(known.flatMap(([, run]) => run))],
  };
}

function severalWarnings(mains: readonly MainPackage[]): string[] {
  const [first, ...others] = mains;
  if (first === undefined || others.length === 0) return [];
  return [
    `There are several main packages: orkestr builds ${first.path}, not ${others.map(({ path }) => path).join(', ')}.`,
  ];
}

interface Asking {
  readonly text: string;
  readonly path: string;
}

/** The minimum Go version, from the `go` line of a go.mod or go.work. */
const goLine = (text: string): string | undefined => /^go\s+(\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1];

function saidVersion({ text, path }: Asking): Stated<string>[] {
  const version = goLine(text);
  return version === undefined ? [] : [{ value: `>=${version}`, from: path }];
}

/**
 * Files to download modules from before the sources are copied, relative to the build root. Empty if there are none, if
 * they are vendored, or if the download needs the sources: a module in a folder of the repository is needed whole.
 */
async function manifestsOf(
  workspace: GoWorkspace | null,
  { repository, text }: { readonly repository: RepositoryView; readonly text: string },
): Promise<readonly string[]> {
  const requires = (workspace?.modules ?? [text]).some((module) => /^[ \t]*require\b/m.test(module));
  if (!requires || (await repository.has('vendor/modules.txt'))) return [];
  if (workspace !== null) return workspace.manifests ?? [];
  return /=>[ \t]*\.{1,2}\//.test(text) ? [] : present(repository, ['go.mod', 'go.sum']);
}

/** Before 1.21 the go command rejected a third version component and the toolchain line. */
function unreadable({ text, path }: Asking, image: string): string[] {
  const [version, have] = [goLine(text), imageVersion(image)];
  if (version === undefined || have === null || admits('>=1.21', have)) return [];
  return version.split('.').length > 2 || /^toolchain\b/m.test(text)
    ? [`Go ${have} cannot read this ${path}. Write "go ${have}" and no toolchain line, or use a newer base image.`]
    : [];
}

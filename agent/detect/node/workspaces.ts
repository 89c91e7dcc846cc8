/** Workspaces of npm, pnpm, yarn and bun: their members, and the workspace of a folder. Does not follow links. */
import { z } from 'zod';
import { joinPath, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import type { PackageJson } from './package-json.ts';
import { readPackageJson } from './package-json.ts';

/** Limits of members examined, and of folders on the way to them. */
const MAX_MEMBERS = 200;
const MAX_FOLDERS = 1000;
const MAX_PATTERNS = 50;
const MAX_PARTS = 8;
const MAX_DEPTH = 4;

const Globs = z.union([z.array(z.string()), z.looseObject({ packages: z.array(z.string()) })]);

/** The globs of a workspace, or null if there is none. `pnpm-workspace.yaml` takes precedence, as in pnpm. */
async function globsOf(repository: RepositoryView, manifest: PackageJson | null): Promise<string[] | null> {
  const yaml = await repository.text('pnpm-workspace.yaml');
  const listed = yaml === null ? null : pnpmPackages(yaml);
  if (listed !== null) return listed;
  const parsed = Globs.safeParse(manifest?.workspaces);
  if (!parsed.success) return null;
  return (Array.isArray(parsed.data) ? parsed.data : parsed.data.packages).slice(0, MAX_PATTERNS);
}

/** The list under `packages:`; null if the file has none, and so only contains settings. */
function pnpmPackages(yaml: string): string[] | null {
  const [, flow, block] = /^packages:[ \t]*(?:\[([^\]\n]*)\]|(?:#.*)?\n((?:[ \t]*(?:-.*|#.*)?\n?)*))/m.exec(yaml) ?? [];
  const items = flow === undefined ? block?.split('\n') : flow.split(',');
  const globs = items?.flatMap((item) => /^\s*(?:-\s*)?["']?([^"'#\s]+)["']?/.exec(item)?.[1] ?? []);
  return globs === undefined || globs.length === 0 ? null : globs.slice(0, MAX_PATTERNS);
}

/** The parts of a glob in the common forms: `apps/*`, `packages/**`, `tools/cli-*`. Null for any other form. */
function partsOf(glob: string): readonly string[] | null {
  const parts = glob.replace(/^\.\//, '').replace(/\/$/, '').split('/');
  const plain = parts.every((part) => part === '**' || /^[A-Za-z0-9._@-]*\*?[A-Za-z0-9._@-]*$/.test(part));
  // With more of them, the number of possible matches would explode.
  const few = parts.length <= MAX_PARTS && parts.filter((part) => part === '**').length <= 2;
  return plain && few && !parts.some((part) => part === '' || part === '..') ? parts : null;
}

function matchesParts(glob: readonly string[], folder: readonly string[]): boolean {
  const [first, ...rest] = glob;
  const [head, ...tail] = folder;
  if (first === undefined) return head === undefined;
  if (first === '**') return matchesParts(rest, folder) || (head !== undefined && matchesParts(glob, tail));
  return head !== undefined && matchesName(first, head) && matchesParts(rest, tail);
}

/** Matches one part of a glob, with at most one star. */
function matchesName(part: string, name: string): boolean {
  const [start = '', end] = part.split('*');
  if (end === undefined) return part === name;
  return name.length >= start.length + end.length && name.startsWith(start) && name.endsWith(end);
}

interface Patterns {
  readonly includes: readonly (readonly string[])[];
  readonly excludes: readonly (readonly string[])[];
  /** Folder levels that can match. */
  readonly depth: number;
}

function patternsOf(globs: readonly string[]): Patterns {
  const read = (list: readonly string[]): (readonly string[])[] =>
    list.flatMap((glob) => {
      const parts = partsOf(glob);
      return parts === null ? [] : [parts];
    });
  const includes = read(globs.filter((glob) => !glob.startsWith('!')));
  return {
    includes,
    excludes: read(globs.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1))),
    depth: Math.max(
      0,
      ...includes.map((parts) => (parts.includes('**') ? MAX_DEPTH : Math.min(parts.length, MAX_DEPTH))),
    ),
  };
}

function matches({ includes, excludes }: Patterns, folder: string): boolean {
  const parts = folder.split('/');
  const one = (glob: readonly string[]): boolean => matchesParts(glob, parts);
  return includes.some(one) && !excludes.some(one);
}

export interface Workspace {
  /** Folders with a package.json, sorted. */
  readonly members: readonly string[];
  /** Whether some folders were not examined. */
  readonly cut: boolean;
}

/** The members of the workspace rooted at `repository`, or null if it is no root. Members have no members. */
export async function workspaceOf(repository: RepositoryView, manifest: PackageJson | null): Promise<Workspace | null> {
  const globs = await globsOf(repository, manifest);
  if (globs === null) return null;
  const patterns = patternsOf(globs);
  const members: string[] = [];
  const waiting = ['.'];
  let seen = 0;
  while (waiting.length > 0 && seen < MAX_FOLDERS && members.length < MAX_MEMBERS) {
    const folder = waiting.shift() ?? '.';
    seen += 1;
    const depth = folder === '.' ? 0 : folder.split('/').length;
    for (const entry of await repository.entries(folder)) {
      if (!/^[A-Za-z0-9_@][A-Za-z0-9._@-]*\/$/.test(entry) || entry === 'node_modules/') continue;
      const child = joinPath(folder, entry.slice(0, -1));
      if (depth + 1 < patterns.depth) waiting.push(child);
      if (matches(patterns, child) && (await repository.has(`${child}/package.json`))) members.push(child);
    }
  }
  return { members: members.toSorted().slice(0, MAX_MEMBERS), cut: waiting.length > 0 };
}

/** The nearest ancestor of `folder` that is the root of a workspace with it as a member, or null. */
export async function workspaceAbove(checkout: RepositoryView, folder: string): Promise<string | null> {
  const parts = folder.split('/');
  for (let length = parts.length - 1; length >= 0; length -= 1) {
    const root = length === 0 ? '.' : parts.slice(0, length).join('/');
    const view = within(checkout, root);
    const globs = await globsOf(view, await readPackageJson(view));
    if (globs !== null && matches(patternsOf(globs), parts.slice(length).join('/'))) return root;
  }
  return null;
}

/** What a Python project depends on, from requirements.txt or pyproject.toml. */
import { z } from 'zod';
import { parseToml } from './manifests.ts';
import type { RepositoryView } from './repository.ts';

export interface PythonDependencies {
  /** The file that lists them. */
  readonly file: string;
  /** Normalised names (PEP 503). */
  readonly names: ReadonlySet<string>;
  /** How they get installed: a requirements file of the repository, lines for one of ours, or the project as a whole. */
  readonly install:
    | { readonly kind: 'requirements'; readonly needsSources: boolean }
    | { readonly kind: 'lines'; readonly lines: readonly string[] }
    | { readonly kind: 'project' };
  /** `>=3.11` */
  readonly requiresPython: string | null;
}

const Pyproject = z.looseObject({
  project: z
    .looseObject({
      dependencies: z.array(z.string().regex(/^[^\r\n]*$/, 'a requirement on one line')).default([]),
      'requires-python': z.string().optional(),
    })
    .optional(),
  tool: z
    .looseObject({ poetry: z.looseObject({ dependencies: z.record(z.string(), z.unknown()).default({}) }).optional() })
    .optional(),
});

/** True when a requirements file has nothing but comments. */
const isBlank = (text: string): boolean => text.split('\n').every((line) => /^\s*(?:#|$)/.test(line));

/** The dependencies, or null when no file lists any. requirements.txt wins: it is what people keep for deployments. */
export async function pythonDependencies(repository: RepositoryView): Promise<PythonDependencies | null> {
  const pyproject = await repository.text('pyproject.toml');
  const parsed = pyproject === null ? null : parseToml('pyproject.toml', pyproject, Pyproject);
  const requiresPython = parsed?.project?.['requires-python'] ?? null;
  const requirements = await repository.text('requirements.txt');
  if (requirements !== null) {
    const names = await requirementNames(repository, 'requirements.txt', requirements);
    if (isBlank(requirements)) {
      return { file: 'requirements.txt', names, install: { kind: 'lines', lines: [] }, requiresPython };
    }
    // Options (other files, editable installs, folders of wheels) and local paths need more than this one file.
    const needsSources = /^\s*(?:-|\.|file:)|@\s*file:/m.test(requirements);
    return { file: 'requirements.txt', names, install: { kind: 'requirements', needsSources }, requiresPython };
  }
  if (parsed?.project !== undefined) {
    const lines = parsed.project.dependencies;
    const names = new Set(lines.flatMap(requirementName));
    return { file: 'pyproject.toml', names, install: { kind: 'lines', lines }, requiresPython };
  }
  const poetry = parsed?.tool?.poetry?.dependencies;
  if (poetry === undefined) return null;
  const names = new Set(Object.keys(poetry).map(normalise));
  return { file: 'pyproject.toml', names, install: { kind: 'project' }, requiresPython };
}

const normalise = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-');

/** The name at the start of a PEP 508 requirement, or nothing for options and comments. */
function requirementName(line: string): string[] {
  const [, name, extras = ''] = /^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?/.exec(line) ?? [];
  if (name === undefined) return [];
  // fastapi[standard] brings uvicorn along.
  return normalise(name) === 'fastapi' && /\b(?:standard|all)\b/.test(extras)
    ? ['fastapi', 'uvicorn']
    : [normalise(name)];
}

/** Names of a requirements file and of those that it includes with `-r`, one level deep. */
async function requirementNames(repository: RepositoryView, path: string, text: string): Promise<Set<string>> {
  const names = new Set<string>();
  const included = new Set<string>();
  const read = (source: string, follow: boolean): void => {
    for (const line of source.split('\n')) {
      const other = /^\s*(?:-r|--requirement)[ =]\s*([A-Za-z0-9_][A-Za-z0-9._/-]*)\s*$/.exec(line)?.[1];
      if (other !== undefined && follow && included.size < 10) included.add(other);
      for (const name of requirementName(line)) names.add(name);
    }
  };
  read(text, true);
  included.delete(path);
  for (const other of included) read((await repository.text(other)) ?? '', false);
  return names;
}

/** package.json, as far as a plan needs it. */
import { z } from 'zod';
import { parseJson } from '../manifests.ts';
import { MAX_COMMAND } from '../procfile.ts';
import type { RepositoryView } from '../repository.ts';

const Words = z.record(z.string(), z.string()).default({});

/** A runtime or package manager of `devEngines`, one or several (npm docs, package.json). */
const Wanted = z.looseObject({ name: z.string(), version: z.string().optional() });
const OneOrMore = z
  .union([Wanted.transform((one) => [one]), z.array(Wanted)])
  .default([])
  .catch([]); // a preference only: ignored if malformed

const PackageJson = z.looseObject({
  name: z.string().optional(),
  main: z.string().optional(),
  homepage: z.string().optional().catch(undefined),
  scripts: Words,
  dependencies: Words,
  devDependencies: Words,
  optionalDependencies: Words,
  engines: z.looseObject({ node: z.string().optional(), pnpm: z.string().optional() }).default({}),
  devEngines: z.looseObject({ runtime: OneOrMore, packageManager: OneOrMore }).optional().catch(undefined),
  volta: z.looseObject({ node: z.string().optional() }).default({}),
  packageManager: z.string().optional(),
  workspaces: z.unknown().optional(),
});
export type PackageJson = z.infer<typeof PackageJson>;

/** The manifest, or null if there is none. @throws OrkestrError ORK_MANIFEST_INVALID */
export async function readPackageJson(
  repository: RepositoryView,
  shownAs = 'package.json',
): Promise<PackageJson | null> {
  const text = await repository.text('package.json');
  return text === null ? null : parseJson(shownAs, text, PackageJson);
}

/** The range of a named program in `devEngines`, or undefined. */
export const devEngine = (
  { devEngines }: PackageJson,
  kind: 'runtime' | 'packageManager',
  name: string,
): string | undefined => devEngines?.[kind].find((one) => one.name === name)?.version;

/** Whether any of the packages is listed, for production or development. */
export function lists(manifest: PackageJson, ...packages: readonly string[]): boolean {
  return packages.some(
    (name) => Object.hasOwn(manifest.dependencies, name) || Object.hasOwn(manifest.devDependencies, name),
  );
}

/** A script's final name and line, after following `npm run other`; null if there is none. */
export function resolveScript(manifest: PackageJson, name: string): { name: string; line: string } | null {
  let current = name;
  // The depth is limited, since scripts may call each other in a cycle.
  for (let depth = 0; depth < 5; depth += 1) {
    const line = Object.hasOwn(manifest.scripts, current) ? manifest.scripts[current]?.trim() : undefined;
    if (line === undefined || line === '' || line.length > MAX_COMMAND) return null;
    const next = /^(?:npm run|pnpm(?: run)?|yarn(?: run)?|bun run) ([\w:.-]+)$/.exec(line)?.[1];
    if (next === undefined || !Object.hasOwn(manifest.scripts, next)) return { name: current, line };
    current = next;
  }
  return null;
}

/** Variables of the app that are passed to its build: those that its framework puts into browser files anyway. */
import { BuildArgs } from '../../protocol/build-settings.ts';
import type { EnvVars } from '../../protocol/ids.ts';
import { publicVariables } from '../../protocol/public-variables.ts';
import type { Facts, DetectedApp } from './detector.ts';

/**
 * Passed as build args of a generated Dockerfile that has a build command. They are part of the plan, so that
 * rebuilding a release uses the same values.
 */
export function publicBuildArgs(
  variables: EnvVars,
  { dockerfile, publicPrefixes = [] }: DetectedApp,
  { buildCommand }: Facts,
): { readonly args: EnvVars; readonly warnings: readonly string[] } {
  if (dockerfile.origin === 'repository' || buildCommand === undefined) return { args: {}, warnings: [] };
  const found = Object.entries(publicVariables(variables, publicPrefixes));
  const args: Record<string, string> = {};
  const leftOut: string[] = [];
  for (const [name, value] of found) {
    if (BuildArgs.safeParse({ ...args, [name]: value }).success) args[name] = value;
    else leftOut.push(name);
  }
  if (leftOut.length === 0) return { args, warnings: [] };
  return {
    args,
    warnings: [
      `The build does not get the public variables ${leftOut.join(', ')}: the limit is 100, of up to 8192 characters each.`,
    ],
  };
}

/**
 * Variables of an environment that are public by the definition of a framework: its build writes their values into files that
 * every browser gets.
 */
import type { EnvVars } from './ids.ts';

const PUBLIC_PREFIXES = [
  'VITE_',
  'NEXT_PUBLIC_',
  'NUXT_PUBLIC_',
  'PUBLIC_',
  'REACT_APP_',
  'GATSBY_',
  'VUE_APP_',
  'NG_APP_',
] as const;
export type PublicPrefix = (typeof PUBLIC_PREFIXES)[number];

/** Whether a variable of this name goes into what is built. */
export const isPublicVariable = (name: string, prefixes: readonly PublicPrefix[] = PUBLIC_PREFIXES): boolean =>
  prefixes.some((prefix) => name.startsWith(prefix));

/** Those of the variables whose names begin like this, in the order of their names. */
export function publicVariables(variables: EnvVars, prefixes: readonly PublicPrefix[] = PUBLIC_PREFIXES): EnvVars {
  const names = Object.keys(variables).filter((name) => isPublicVariable(name, prefixes));
  return Object.fromEntries(names.toSorted().map((name) => [name, variables[name] ?? '']));
}

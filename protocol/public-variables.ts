/**
 * Environment variables that a framework defines as public: its build writes their values into files that every browser
 * gets.
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

/** Whether a variable of this name ends up in the built files. */
export const isPublicVariable = (name: string, prefixes: readonly PublicPrefix[] = PUBLIC_PREFIXES): boolean =>
  prefixes.some((prefix) => name.startsWith(prefix));

/** The variables with one of these prefixes, sorted by name. */
export function publicVariables(variables: EnvVars, prefixes: readonly PublicPrefix[] = PUBLIC_PREFIXES): EnvVars {
  const names = Object.keys(variables).filter((name) => isPublicVariable(name, prefixes));
  return Object.fromEntries(names.toSorted().map((name) => [name, variables[name] ?? '']));
}

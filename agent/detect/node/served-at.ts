/** Sites built for a path prefix: at the root of a domain, their pages cannot load their scripts. */
import type { ConfigFile, Framework } from './framework.ts';
import type { PackageJson } from './package-json.ts';

const PATH = String.raw`(\/[\w.~/-]*)`;

/** `key: '/path/'` in a configuration; null if it is not a literal. */
export const configPath = ({ text }: ConfigFile, key: string): string | null =>
  new RegExp(String.raw`\b${key}["']?\s*:\s*["'\x60]${PATH}["'\x60]`).exec(text)?.[1] ?? null;

/** `--base /path/` of the build script. */
export const pathAfter = ({ scripts }: PackageJson, option: string): string | null =>
  new RegExp(String.raw`\s--${option}[= ]["']?${PATH}`).exec(scripts['build'] ?? '')?.[1] ?? null;

/** The path of a URL, or an absolute path; null for a relative one, which works anywhere. */
export function pathOfAddress(address: string | undefined): string | null {
  return new RegExp(String.raw`^(?:https?:\/\/[^/]+)?${PATH}$`).exec(address ?? '')?.[1] ?? null;
}

/** A warning if the build is for a path other than the root. */
export function servedAtWarning(framework: Framework | undefined, manifest: PackageJson, config: ConfigFile): string[] {
  const path = framework?.servedAt?.(manifest, config) ?? '/';
  return path === '/'
    ? []
    : [
        `The build expects the site at the path ${path}, but orkestr serves it at the root of its domain, where browsers do not find its scripts. Build it for /.`,
      ];
}

/** Nitro, the server builder of Nuxt, SolidStart and TanStack Start: its output depends on its preset. */
import type { ConfigFile } from './framework.ts';
import type { PackageJson } from './package-json.ts';

const FOREIGN =
  /(?:\bpreset\s*:\s*|--preset[= ]|_PRESET=)['"]?((?:aws|azure|bun|cloudflare|deno|edgio|firebase|netlify|stormkit|vercel|winterjs|zeabur)(?![A-Za-z])[\w-]*)/;

/** Start command of its server, with a Node.js preset or none. */
export const NITRO_START = 'node .output/server/index.mjs';

/** Why its build cannot run here, or null. Ignores a preset that is not a literal. */
export function foreignPreset({ scripts }: PackageJson, { path, text }: ConfigFile): string | null {
  const configured = FOREIGN.exec(text)?.[1];
  const preset = configured ?? FOREIGN.exec(scripts['build'] ?? '')?.[1];
  const from = configured === undefined ? 'package.json scripts.build' : path;
  return preset === undefined
    ? null
    : `${from} sets the preset ${preset} of Nitro, and its build does not run on Node.js. Remove the preset, so that the build is a server for Node.js, or set startCommand in orkestr.json.`;
}

/** Whether its build is only files. */
export const isStatic = ({ text }: ConfigFile): boolean => /\bpreset\s*:\s*['"]static['"]/.test(text);

/** The folder of these files. */
export const NITRO_FILES = '.output/public';

/** Scripts that never start it: for development, or for a server that the build does not produce for Node.js. */
export const nitroDevelopment =
  (development: RegExp) =>
  (config: ConfigFile): RegExp =>
    isStatic(config) || FOREIGN.test(config.text)
      ? new RegExp(String.raw`${development.source}|\bnode (?:\.\/)?\.output\/server\b|\bvinxi start\b`)
      : development;

/** Angular: the output of `ng build`, according to angular.json. */
import { z } from 'zod';
import { parseJsonWithComments } from '../manifests.ts';
import { shortName } from './framework.ts';
import type { ConfigFile, Framework } from './framework.ts';
import { lists } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { pathAfter, pathOfAddress } from './served-at.ts';

const OutputPath = z.union([
  z.string(),
  z.looseObject({ base: z.string(), browser: z.string().optional(), server: z.string().optional() }),
]);
const Targets = z.looseObject({
  build: z
    .looseObject({
      builder: z.string().default(''),
      options: z
        .looseObject({
          outputPath: OutputPath.optional(),
          outputMode: z.string().optional(),
          baseHref: z.string().optional(),
        })
        .default({}),
    })
    .optional(),
});
const Project = z.looseObject({
  projectType: z.string().optional(),
  architect: Targets.optional(),
  targets: Targets.optional(),
});
const AngularJson = z.looseObject({
  defaultProject: z.string().optional(),
  projects: z.record(z.string(), Project).default({}),
});

interface Build {
  /** Folder with the browser's files. */
  readonly browser: string;
  /** Start file of the server, if one is built. */
  readonly server: string;
  /** The build renders all pages. */
  readonly isStatic: boolean;
}

/** The project that `ng build` builds: the one named in the script, the default one, else the first app. */
function projectOf({ scripts }: PackageJson, { path, text }: ConfigFile) {
  const all = text === '' ? AngularJson.parse({}) : parseJsonWithComments(path, text, AngularJson);
  const { defaultProject, projects } = all;
  const apps = Object.keys(projects).filter((name) => projects[name]?.projectType !== 'library');
  const said = /\bng build ([\w@./-]+)/.exec(scripts['build'] ?? '')?.[1];
  const name = [said, defaultProject].find((one) => one !== undefined && apps.includes(one)) ?? apps[0];
  const project = name === undefined ? undefined : projects[name];
  return { name, build: (project?.architect ?? project?.targets)?.build };
}

function buildOf(manifest: PackageJson, config: ConfigFile): Build {
  const { name = shortName(manifest), build } = projectOf(manifest, config);
  const { outputPath = `dist/${name}`, outputMode } = build?.options ?? {};
  const said: Exclude<z.infer<typeof OutputPath>, string> = typeof outputPath === 'string'
    ? { base: outputPath }
    : outputPath;
  const base = safe(said.base);
  // Since version 17, the builder `application` puts browser files in a separate folder.
  const browser = build?.builder.endsWith(':application') === true ? (said.browser ?? 'browser') : '';
  return {
    browser: browser === '' ? base : `${base}/${safe(browser)}`,
    server: `${base}/${safe(said.server ?? 'server')}/server.mjs`,
    isStatic: outputMode === 'static',
  };
}

/** Makes a folder safe for use in a Dockerfile. */
function safe(folder: string): string {
  const path = folder.replace(/^\.\//, '').replace(/\/$/, '');
  return /^[A-Za-z0-9_@][A-Za-z0-9._/@-]*$/.test(path) && !path.split('/').includes('..') ? path : 'dist';
}

export const ANGULAR: Framework = {
  name: 'Angular',
  packages: ['@angular/core'],
  publicPrefixes: ['NG_APP_'],
  port: 4000,
  build: 'ng build',
  config: ['angular.json'],
  output(manifest, config) {
    const { browser, isStatic } = buildOf(manifest, config);
    if (lists(manifest, '@angular/ssr') && !isStatic) return null;
    // For paths that were not prerendered; index.html is a prerendered page.
    return { folder: browser, singlePage: true, fallback: 'index.csr.html' };
  },
  start: (manifest, config) => `node ${buildOf(manifest, config).server}`,
  servedAt: (manifest, config) =>
    pathAfter(manifest, 'base-href') ?? pathOfAddress(projectOf(manifest, config).build?.options.baseHref),
  development: /\bng (?:serve|s)\b|\bng$/,
};

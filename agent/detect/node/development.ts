/** Why development dependencies stay in the image: the app needs one, or removing them would remove more. */
import type { NodeApp } from './app.ts';
import { lists } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { managerOf, shownName } from './package-manager.ts';
import type { ChosenManager, ManagerName } from './package-manager.ts';
import type { Running } from './start.ts';

/** Packages whose programs have another name, and packages that programs need in addition to their own. */
const PACKAGES_OF: Readonly<Record<string, readonly string[]>> = {
  'babel-node': ['@babel/node'],
  dotenv: ['dotenv-cli'],
  'mikro-orm': ['@mikro-orm/cli'],
  nest: ['@nestjs/cli'],
  ng: ['@angular/cli'],
  'pm2-runtime': ['pm2'],
  'run-p': ['npm-run-all', 'npm-run-all2'],
  'run-s': ['npm-run-all', 'npm-run-all2'],
  sequelize: ['sequelize-cli'],
  swc: ['@swc/cli'],
  'ts-node': ['typescript'],
  'ts-node-dev': ['typescript'],
  tsc: ['typescript'],
  'vue-cli-service': ['@vue/cli-service'],
  webpack: ['webpack-cli'],
};

/** Manifests of the app, and of the root of its workspace. */
type Manifests = readonly PackageJson[];

/** The reason for the warning, or null if they can be removed. */
export function whyKept(
  app: NodeApp,
  { config, framework, start }: Running,
  manager: Pick<ChosenManager, 'name'>,
): string | null {
  const manifests = app.folder === '.' ? [app.manifest] : [app.manifest, app.rootManifest];
  const isDevelopment = (name: string): boolean =>
    manifests.some(({ devDependencies }) => Object.hasOwn(devDependencies, name)) &&
    !manifests.some(({ dependencies }) => Object.hasOwn(dependencies, name));
  const program = packagesIn(linesOf(manifests, start?.command ?? '')).find(isDevelopment);
  if (program !== undefined) return `the start command needs ${program}`;
  const needed = framework?.needsAtStart?.(config) ?? null;
  if (needed !== null && isDevelopment(needed)) {
    return `${config.path} needs ${needed} when the app starts`;
  }
  return whyNotPruned(app, manifests, manager.name);
}

/** Some managers remove them only through a new install, which discards what was generated since the first. */
function whyNotPruned({ workspace }: NodeApp, manifests: Manifests, name: ManagerName): string | null {
  const { pruneInstallsAnew, pruneRunsScripts } = managerOf({ name });
  if (pruneInstallsAnew === true && manifests.some((manifest) => lists(manifest, 'prisma', '@prisma/client'))) {
    return `if ${shownName(name)} removed them, it would also remove the client that Prisma generates`;
  }
  if (pruneInstallsAnew === true && workspace !== null) {
    return `to remove them, ${shownName(name)} would install every member again, without the tools that built it`;
  }
  const script = manifests.flatMap((manifest) => installScriptsOf(manifest, name))[0];
  return pruneRunsScripts !== true || script === undefined
    ? null
    : `to remove them, ${shownName(name)} would run scripts.${script} again, which may need them`;
}

/** Scripts that package managers run during an install: they may need any file of the repository. */
export function installScriptsOf({ scripts }: PackageJson, manager: ManagerName): string[] {
  const names = ['preinstall', 'install', 'postinstall', ...(manager === 'berry' ? [] : ['prepare'])];
  return names.filter((name) => Object.hasOwn(scripts, name));
}

/** A start command and the scripts that it calls. */
function linesOf(manifests: Manifests, command: string): string[] {
  const lines = [command];
  const called = new Set<string>();
  // The list grows during the loop; each script is added once, so cycles end.
  for (const line of lines) {
    for (const [, name = ''] of line.matchAll(/\b(?:npm|pnpm|yarn|bun)(?: run)?(?: -s| --silent)? ([\w:.-]+)/g)) {
      if (called.has(name)) continue;
      called.add(name);
      for (const { scripts } of manifests) {
        lines.push(...[`pre${name}`, name, `post${name}`].flatMap((script) => ownScript(scripts, script)));
      }
    }
  }
  return lines;
}

const ownScript = (scripts: PackageJson['scripts'], name: string): string[] =>
  Object.hasOwn(scripts, name) ? [scripts[name] ?? ''] : [];

/** Packages that words of the lines may refer to: `tsx`, `dotenv/config`, `--import=@swc-node/register/esm`. */
function packagesIn(lines: readonly string[]): string[] {
  const words = lines.flatMap((line) => line.split(/[\s"'=;&|(){}]+/));
  return words.flatMap((word) => {
    const path = word.replace(/^(?:\.\/)?node_modules\/(?:\.bin\/)?/, '');
    const name = /^(?:@[\w.-]+\/)?[\w.-]+/.exec(path)?.[0];
    return name === undefined ? [] : [name, ...(Object.hasOwn(PACKAGES_OF, name) ? (PACKAGES_OF[name] ?? []) : [])];
  });
}

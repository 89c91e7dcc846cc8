/** `orkestr-agent analyze`: the build plan of a folder, without a deployment, an engine or a hub. */
import { realpath } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import type { Command } from 'commander';
import { BuildSettings } from '../../../protocol/build-settings.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { RepositoryPath } from '../../../protocol/ids.ts';
import { safeLine } from '../../../protocol/safe-text.ts';
import { readConfig } from '../../config.ts';
import type { BaseImages } from '../../detect/base-images.ts';

const ANALYZE_HELP = `
Examples:
  $ orkestr-agent analyze .                   # plan, where each fact was read, warnings, and the Dockerfile
  $ orkestr-agent analyze . --root apps/web   # one app of a workspace
  $ orkestr-agent analyze . --json | jq -r .dockerfile.text

Nothing is built or changed. Without an agent's configuration, the default base images are named.`;

/** Adds `analyze`. */
export function addAnalyzeCommand(cli: Command): void {
  cli
    .command('analyze <path>')
    .description('show how a repository would be built and started, and why')
    .option('--json', 'the plan for programs')
    .option('--root <folder>', 'root directory of the app')
    .option('--dockerfile <path>', 'use this file instead of `Dockerfile`')
    .option('--detector <name>', 'use only this detector')
    .option('--runtime-version <version>', 'use this version instead of the one that the repository asks for')
    .addHelpText('after', ANALYZE_HELP)
    .action((path: string, options: AnalyzeOptions) =>
      printPlan(path, options, readConfig().baseImages, process.stdout),
    );
}

interface AnalyzeOptions {
  readonly json?: true;
  readonly root?: string;
  readonly dockerfile?: string;
  readonly detector?: string;
  readonly runtimeVersion?: string;
}

/** @throws OrkestrError ORK_INVALID, and what an analysis throws */
async function printPlan(
  path: string,
  { json, root = '.', ...given }: AnalyzeOptions,
  baseImages: BaseImages,
  out: Writable,
): Promise<void> {
  const settings = BuildSettings.safeParse(given);
  const rootDirectory = RepositoryPath.safeParse(root);
  if (!settings.success) throw invalid(settings.error.issues[0]);
  if (!rootDirectory.success) throw invalid({ ...rootDirectory.error.issues[0], path: ['root'] });
  const { describePlan, planBuild } = await import('../../detect/index.ts');
  const plan = await planBuild({
    checkout: await folder(path),
    rootDirectory: rootDirectory.data,
    settings: settings.data,
    // No engine is queried: only the engine knows which images a host made itself.
    surroundings: { baseImages, isMadeHere: async () => false, cacheScope: 'project' },
  });
  const files = plan.files.map((file) => `generated file: ${file.path}`);
  const lines = [...describePlan(plan), ...files].map((line) => safeLine(line, false));
  out.write(json ? `${JSON.stringify(plan, null, 2)}\n` : `${lines.join('\n')}\n`);
}

async function folder(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (cause) {
    throw new OrkestrError('ORK_NOT_FOUND', `There is no folder ${path}.`, { cause });
  }
}

function invalid(
  issue: { readonly path?: readonly PropertyKey[]; readonly message?: string } | undefined,
): OrkestrError {
  return new OrkestrError('ORK_INVALID', `--${issue?.path?.join('.') ?? ''}: ${issue?.message ?? 'not understood'}.`);
}

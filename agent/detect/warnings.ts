/** Warnings of a plan: alternative findings, unreadable files, and files that are ignored contrary to expectation. */
import type { BuildPlan } from '../../protocol/steps.ts';
import { composeFile } from './compose-file.ts';
import type { DetectRequest, Finding, StatedSettings } from './detector.ts';
import { procfileWeb, unstartedProcesses } from './procfile.ts';
import type { rank } from './rank.ts';

/** Warnings about other findings and failures, which make a wrong guess visible. */
export function othersOf([winner, ...others]: ReturnType<typeof rank<Finding>>): string[] {
  if (winner?.kind !== 'found') return [];
  return others.flatMap((other) => {
    if (other.kind === 'failed') {
      const why = other.error instanceof Error ? other.error.message : String(other.error);
      return [`The detector ${other.detector.name} failed: ${why.slice(0, 300)}`];
    }
    // A Dockerfile is the user's explicit choice, and an index.html is found in all kinds of repositories.
    if (winner.finding.confidence === 'stated' || other.finding.confidence === 'guess') return [];
    if (winner.finding.includes?.includes(other.detector.name)) return [];
    const { framework, evidence } = { ...other.finding.facts, evidence: other.finding.evidence };
    return [
      `orkestr builds this as ${winner.detector.name}, but ${other.detector.name} fits too (${framework}: ${evidence[0]?.from ?? ''}). If ${other.detector.name} is right, set "detector": "${other.detector.name}" in orkestr.json, or add a Dockerfile.`,
    ];
  });
}

/** Warnings about files that users would expect to be used. */
export async function unusedFiles(
  { repository, stated }: DetectRequest,
  { dockerfile, evidence }: Finding,
): Promise<string[]> {
  const warnings: string[] = [];
  const compose = await composeFile(repository);
  if (compose !== null) {
    const others = compose.services.length > 1 ? ` (${compose.services.join(', ')})` : '';
    warnings.push(
      `orkestr does not use ${compose.path}. Create an environment for each of its other services${others}.`,
    );
  }
  const start = evidence.find(({ subject }) => subject === 'start');
  warnings.push(...(await unstartedProcesses(repository, [stated.startCommand?.value, start?.value])));
  if (dockerfile.origin === 'generated') warnings.push(...(await unusedProcesses({ repository, stated }, evidence)));
  return warnings;
}

/** Lines of a Procfile without effect: most languages start what was built rather than what Heroku would run. */
async function unusedProcesses(
  { repository, stated }: Pick<DetectRequest, 'repository' | 'stated'>,
  evidence: Finding['evidence'],
): Promise<string[]> {
  const warnings: string[] = [];
  const start = evidence.find(({ subject }) => subject === 'start');
  const isOurs = stated.startCommand === undefined;
  if (isOurs && start !== undefined && start.from !== 'Procfile' && (await procfileWeb(repository)) !== null) {
    warnings.push(
      `orkestr does not use the web line of the Procfile: ${start.value} starts the app. If it needs another command, set startCommand.`,
    );
  }
  if (/^release:/m.test((await repository.text('Procfile')) ?? ''))
    warnings.push(
      'orkestr does not run the release line of the Procfile. Run its command in the start command or in the build.',
    );
  return warnings;
}

/** Warnings about settings that have no effect on this kind of app. */
export function unusedSettings(
  stated: StatedSettings,
  { runtime, dockerfile }: Pick<BuildPlan, 'runtime' | 'dockerfile'>,
): string[] {
  const own = dockerfile.origin === 'repository';
  const isUsed: Partial<Record<keyof StatedSettings, boolean>> = {
    installCommand: !own && runs(dockerfile.text, stated.installCommand?.value),
    buildCommand: !own && runs(dockerfile.text, stated.buildCommand?.value),
    runtimeVersion: !own && (runtime !== 'static' || dockerfile.text.includes(' AS build')),
    target: own,
    buildArgs: own,
    outputDirectory: runtime === 'static',
    singlePage: runtime === 'static',
  };
  return Object.entries(isUsed).flatMap(([field, used]) => {
    const said = stated[field as keyof StatedSettings];
    if (said === undefined || used) return [];
    return [
      `${field} (${said.from}) has no effect: ${own ? dockerfile.path : `an app of this kind (${runtime})`} does not use it.`,
    ];
  });
}

/** Words that occur in the names of secrets. */
const SECRET_NAME = /TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|(?:^|_)(?:KEY|PAT|AUTH)(?:$|_)|API_?KEY/i;

/** Warnings about build args that look like secrets. */
export function secretBuildArgs({ buildArgs }: StatedSettings): string[] {
  const names = Object.keys(buildArgs?.value ?? {}).filter((name) => SECRET_NAME.test(name));
  if (names.length === 0) return [];
  return [
    `buildArgs (${buildArgs?.from ?? ''}) contains ${names.join(', ')}, but the history of the image shows build args. Use a build secret: orkestr env set --build ${names[0] ?? ''}=-`,
  ];
}

const runs = (dockerfile: string, command = ''): boolean =>
  dockerfile.split('\n').some((line) => line.startsWith('RUN ') && `${line} `.includes(` ${command} `));

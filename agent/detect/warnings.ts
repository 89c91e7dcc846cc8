/** Warnings of a plan: other apps found, unreadable files, and files that are ignored contrary to expectation. */
import type { BuildPlan } from '../../protocol/steps.ts';
import { composeAdvice, composeFile } from './compose-file.ts';
import type { ComposeFile } from './compose-file.ts';
import type { DetectRequest, DetectedApp, StatedSettings } from './detector.ts';
import { lenientView } from './lenient-view.ts';
import { platformWarning } from './platform-files.ts';
import { procfileWeb, startsWorker, unstartedProcesses } from './procfile.ts';
import type { rank } from './rank.ts';
import type { RepositoryView } from './repository.ts';

/** Warnings about other apps found and failures, which make a wrong guess visible. */
export function othersOf([winner, ...others]: ReturnType<typeof rank<DetectedApp>>): string[] {
  if (winner?.kind !== 'found') return [];
  return others.flatMap((other) => {
    if (other.kind === 'failed') {
      const why = other.error instanceof Error ? other.error.message : String(other.error);
      return [`The detector ${other.detector.name} failed: ${why.slice(0, 300)}`];
    }
    // A Dockerfile is the user's explicit choice, and an index.html is found in all kinds of repositories.
    if (winner.app.confidence === 'stated' || other.app.confidence === 'guess') return [];
    if (winner.app.includes?.includes(other.detector.name)) return [];
    const { framework, evidence } = { ...other.app.facts, evidence: other.app.evidence };
    return [
      `orkestr builds this as ${winner.detector.name}, but ${other.detector.name} fits too (${framework}: ${evidence[0]?.from ?? ''}). If ${other.detector.name} is right, set "detector": "${other.detector.name}" in orkestr.json, or add a Dockerfile.`,
    ];
  });
}

/** Warnings about files that users would expect to be used. */
export async function unusedFiles(
  { repository, stated }: DetectRequest,
  { dockerfile, evidence, facts }: DetectedApp,
): Promise<string[]> {
  const view = lenientView(repository);
  const compose = await composeFile(view);
  const start = evidence.find(({ subject }) => subject === 'start');
  const started = [stated.startCommand?.value, start?.value];
  return [
    ...(compose === null ? [] : [composeWarning(compose, dockerfile)]),
    ...(dockerfile.origin === 'generated' ? await unusedWeb({ repository: view, stated }, evidence) : []),
    ...(await unstartedProcesses(view, started)),
    // Of several environments that start with a release command, each push would run it several times at once.
    ...((await startsWorker(view, started))
      ? []
      : await unusedRelease(view, stated.startCommand?.value ?? facts.startCommand)),
    ...(await platformWarning(view, { stated, dockerfile })),
  ];
}

function composeWarning({ path, services }: ComposeFile, dockerfile: DetectedApp['dockerfile']): string {
  const ours = thisService(services, dockerfile.origin === 'repository' ? dockerfile.path : 'Dockerfile');
  const others = services.filter((one) => one !== ours);
  return `orkestr does not use ${path}.${composeAdvice(others, 'its other services that the repository builds')}`;
}

/** The service that the plan is for: the only one that is built, or else one that is built from the root directory. */
function thisService(services: ComposeFile['services'], path: string): ComposeFile['services'][number] | undefined {
  const built = services.filter(({ build }) => build !== null);
  const here = built.filter(({ build }) => build?.context === '.');
  return built.length === 1 ? built[0] : (here.find(({ build }) => build?.dockerfile === path) ?? here[0]);
}

/** A web line without effect: most languages start what was built rather than what Heroku would run. */
async function unusedWeb(
  { repository, stated }: Pick<DetectRequest, 'repository' | 'stated'>,
  evidence: DetectedApp['evidence'],
): Promise<string[]> {
  const start = evidence.find(({ subject }) => subject === 'start');
  const isOurs = stated.startCommand === undefined;
  if (!isOurs || start === undefined || start.from === 'Procfile' || (await procfileWeb(repository)) === null)
    return [];
  return [
    `orkestr does not use the web line of the Procfile: ${start.value} starts the app. If it needs another command, set startCommand.`,
  ];
}

/** A command longer than this is not repeated in a warning. */
const MAX_SHOWN = 200;

/** The release line has no effect, whoever wrote the Dockerfile. A build cannot take its place. */
async function unusedRelease(repository: RepositoryView, startCommand: string | undefined): Promise<string[]> {
  const line = /^release:(.*)$/m.exec((await repository.text('Procfile')) ?? '')?.[1]?.trim();
  if (line === undefined || line === '' || startCommand?.includes(line) === true) return [];
  const shown = (command: string | undefined, instead: string): string =>
    command === undefined || command.length > MAX_SHOWN ? instead : command;
  const both = `${shown(line, 'RELEASE-COMMAND')} && ${shown(startCommand, 'START-COMMAND')}`;
  return [
    `orkestr does not run the release line of the Procfile. Run its command when the app starts: set startCommand to \`${both}\`. A build cannot run it, because it has neither the app's variables nor a way to its database.`,
  ];
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

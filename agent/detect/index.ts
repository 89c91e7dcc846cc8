/** From a checkout to a build plan: runs every detector, ranks the results, and applies settings on top. */
import type { BuildSettings } from '../../protocol/build-settings.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import type { EnvVars } from '../../protocol/ids.ts';
import type { BuildPlan } from '../../protocol/steps.ts';
import { appsBelow, describeApps, onlyApp } from './apps-below.ts';
import type { AppBelow } from './apps-below.ts';
import { composeAdvice, composeFile } from './compose-file.ts';
import type { DetectRequest, Detector, DetectedApp, Stated, StatedSettings, Surroundings } from './detector.ts';
import { DETECTORS } from './detectors/index.ts';
import { dockerIgnore } from './dockerfiles/common.ts';
import { lenientView } from './lenient-view.ts';
import { unmetNeeds } from './needs.ts';
import { platformWarning } from './platform-files.ts';
import { publicBuildArgs } from './public-build-args.ts';
import { rank } from './rank.ts';
import type { Outcome } from './rank.ts';
import { joinPath, openRepository, ReadingBudget } from './repository.ts';
import { folderOf } from './root-directory.ts';
import { applySettings, readOrkestrJson, stateSettings } from './settings.ts';
import { databaseFileWarning } from './sqlite/warning.ts';
import { othersOf, secretBuildArgs, unusedFiles, unusedSettings } from './warnings.ts';

export { describePlan } from './describe.ts';
export { DETECTORS };

/** Path of a generated Dockerfile in the build context. */
const GENERATED_PATH = '.orkestr/Dockerfile';

export interface PlanRequest {
  /** Absolute path of the checkout. */
  readonly checkout: string;
  /** The app's folder in the checkout, from the settings; `.` leaves it to orkestr.json. */
  readonly rootDirectory: string;
  readonly settings: BuildSettings;
  /** The port that the environment asks for, with the origin of that setting. */
  readonly port?: Stated<number> | undefined;
  /**
   * The app's variables. Those that its framework defines as public become build args of a generated Dockerfile;
   * missing ones that it needs become warnings.
   */
  readonly variables?: EnvVars;
  /** Linux capabilities of the environment's container. */
  readonly capabilities?: readonly string[];
  readonly surroundings: Surroundings;
  /** Counts what is read, for tests to inspect. */
  readonly budget?: ReadingBudget;
}

/**
 * The build plan of a checkout, with evidence for each fact. Only reads.
 * @throws OrkestrError ORK_ROOT_MISSING, ORK_NOTHING_DETECTED, ORK_COMPOSE_FILE, ORK_APP_AMBIGUOUS,
 * ORK_MANIFEST_INVALID, ORK_REPO_UNSAFE, ORK_REPO_TOO_LARGE
 */
export async function planBuild(request: PlanRequest): Promise<BuildPlan> {
  const budget = request.budget ?? new ReadingBudget();
  const detect = await detectRequest(request, budget);
  const outcomes = await askAll(detect);
  const [winner, ...others] = rank(outcomes);
  if (winner === undefined) return planBelow({ ...request, budget }, detect, outcomes);
  return planOf({ ...request, budget }, detect, [winner, ...others]);
}

type Ranked = ReturnType<typeof rank<DetectedApp>>;

/** The plan of the first of the ranked results. @throws its error, if it failed */
async function planOf(
  request: PlanRequest & { readonly budget: ReadingBudget },
  detect: DetectRequest,
  ranked: readonly [Ranked[number], ...Ranked],
): Promise<BuildPlan> {
  const [winner] = ranked;
  if (winner.kind === 'failed') throw winner.error;
  // Of the detectors only: a large folder that was searched just for the sake of a warning decides nothing.
  const notes = [...request.budget.notes];
  const { detector, app } = winner;
  const { rootDirectory } = detect.checkout;
  const { facts, evidence } = applySettings(app, detect.stated);
  const context = app.context ?? rootDirectory;
  const { variables = {} } = request;
  const { args, warnings } = publicBuildArgs(variables, app, facts);
  const { stated, surroundings } = detect;
  const write = { facts, stated, surroundings, publicVariables: Object.keys(args) };
  const { dockerfile, files } = await written(app, write, context, detect);
  const buildArgs = dockerfile.origin === 'repository' ? stated.buildArgs?.value : args;
  return {
    detector: detector.name,
    confidence: app.confidence,
    ...facts,
    portGuessed: isGuessed(evidence, stated),
    evidence,
    warnings: [
      ...app.warnings,
      ...unmetNeeds(facts.framework, app.needs ?? [], variables),
      ...othersOf([...ranked]),
      ...(await databaseFileWarning(detect, app, { facts, variables })),
      ...(await unusedFiles(detect, app)),
      ...unusedSettings(stated, { ...facts, dockerfile }),
      ...secretBuildArgs(stated),
      ...warnings,
      ...notes,
    ],
    rootDirectory: context,
    dockerfile,
    ...(stated.target !== undefined && { target: stated.target.value }),
    ...(buildArgs !== undefined && Object.keys(buildArgs).length > 0 && { buildArgs }),
    files,
  };
}

/**
 * The plan of the only app below the repository's root; if there is none, that of a worker, for which a stated start
 * command suffices.
 * @throws OrkestrError ORK_NOTHING_DETECTED, ORK_COMPOSE_FILE
 */
async function planBelow(
  request: PlanRequest & { readonly budget: ReadingBudget },
  detect: DetectRequest,
  outcomes: readonly Outcome<DetectedApp>[],
): Promise<BuildPlan> {
  const isRoot = detect.checkout.rootDirectory === '.';
  const apps = isRoot ? await appsBelow(detect, async (below) => rank(await askAll(below))) : [];
  const only = (await composeFile(detect.repository)) === null ? onlyApp(apps) : null;
  if (only === null) {
    const last = { ...detect, isLastTry: true };
    const [winner, ...others] = apps.length === 0 ? rank(await askAll(last)) : [];
    if (winner !== undefined) return planOf(request, last, [winner, ...others]);
    throw await nothingFound(detect, outcomes, apps);
  }
  const plan = await planBuild({ ...request, rootDirectory: only.folder });
  const taken = `orkestr uses ${only.folder} as the root directory: there is no app at the root of the repository, and no other folder has one. To keep this choice, write "rootDirectory": "${only.folder}" into an orkestr.json at the root.`;
  return { ...plan, warnings: [taken, ...plan.warnings] };
}

async function detectRequest(request: PlanRequest, budget: ReadingBudget): Promise<DetectRequest> {
  const checkout = openRepository(await folderOf(request.checkout, '.'), budget);
  const outer = await readOrkestrJson(checkout);
  const named = outer?.said.rootDirectory;
  const rootDirectory = request.rootDirectory === '.' && named !== undefined ? named : request.rootDirectory;
  const repository = openRepository(await folderOf(request.checkout, rootDirectory), budget);
  const file = (rootDirectory === '.' ? null : await readOrkestrJson(repository)) ?? outer;
  if (file !== outer && file?.said.rootDirectory !== undefined) {
    throw new OrkestrError(
      'ORK_MANIFEST_INVALID',
      `rootDirectory belongs in the orkestr.json at the root of the repository, not in the one of ${rootDirectory}.`,
    );
  }
  return {
    repository,
    checkout: { repository: checkout, rootDirectory },
    stated: stateSettings(request.settings, request.port, file),
    capabilities: request.capabilities ?? [],
    surroundings: request.surroundings,
  };
}

async function askAll(request: DetectRequest): Promise<Outcome<DetectedApp>[]> {
  const outcomes: Outcome<DetectedApp>[] = [];
  for (const detector of asked(request.stated)) {
    try {
      const result = await detector.detect(request);
      outcomes.push(
        'missed' in result
          ? { detector, kind: 'missed', why: result.missed }
          : { detector, kind: 'found', app: result },
      );
    } catch (error) {
      // Not the same as "nothing found": the ranking decides whether it fails the analysis or becomes a warning.
      outcomes.push({ detector, kind: 'failed', error });
    }
  }
  return outcomes;
}

/** All detectors, or the one named by the settings. Naming a Dockerfile implies its detector. */
function asked({ detector: named, dockerfile }: StatedSettings): readonly Detector[] {
  const name = named?.value ?? (dockerfile === undefined ? undefined : 'dockerfile');
  if (name === undefined) return DETECTORS;
  const found = DETECTORS.filter((one) => one.name === name);
  if (found.length > 0) return found;
  const known = DETECTORS.map((one) => one.name).join(', ');
  throw new OrkestrError(
    'ORK_MANIFEST_INVALID',
    `There is no detector "${name}" (${named?.from ?? 'settings'}). There are: ${known}.`,
  );
}

async function nothingFound(
  { repository, checkout, stated }: DetectRequest,
  outcomes: readonly Outcome<DetectedApp>[],
  apps: readonly AppBelow[],
): Promise<OrkestrError> {
  const where = checkout.rootDirectory === '.' ? 'the repository' : checkout.rootDirectory;
  const compose = await composeFile(repository);
  if (compose !== null) {
    const services = composeAdvice(compose.services, 'the services that the repository builds');
    return new OrkestrError(
      'ORK_COMPOSE_FILE',
      `${where} is built by ${compose.path}, and orkestr runs one container per environment.${services}${describeApps(apps)}`,
    );
  }
  const missed = outcomes.flatMap((one) => (one.kind === 'missed' ? [`${one.detector.name}: ${one.why}`] : []));
  const platforms = await platformWarning(lenientView(repository), { stated });
  return new OrkestrError(
    'ORK_NOTHING_DETECTED',
    `Nothing in ${where} tells how to build and start the app. Looked for: ${missed.join('; ')}.${describeApps(apps)}${platforms.map((one) => ` ${one}`).join('')}`,
    { evidence: missed },
  );
}

/** A port is not a guess if it was stated, or is in a configuration that we generate. */
function isGuessed(evidence: BuildPlan['evidence'], { port }: StatedSettings): boolean {
  return (
    port === undefined && !evidence.some(({ subject, from }) => subject === 'port' && from.startsWith('generated '))
  );
}

async function written(
  { dockerfile }: DetectedApp,
  request: Parameters<Extract<DetectedApp['dockerfile'], { origin: 'generated' }>['write']>[0],
  context: string,
  { checkout }: DetectRequest,
): Promise<Pick<BuildPlan, 'dockerfile' | 'files'>> {
  if (dockerfile.origin === 'repository') return { dockerfile, files: [] };
  const { text, files } = dockerfile.write(request);
  const ignore = joinPath(context, '.dockerignore');
  return {
    dockerfile: { origin: 'generated', path: GENERATED_PATH, text },
    files: (await checkout.repository.has(ignore)) ? [...files] : [...files, dockerIgnore],
  };
}

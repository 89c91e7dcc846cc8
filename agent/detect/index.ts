/** From a checkout to a build plan: the ordered detectors, the first that matches, and the settings that override it. */
import { OrkestrError } from '../../protocol/errors.ts';
import type { BuildPlan, Evidence } from '../../protocol/steps.ts';
import type { Detector, Facts, Finding, Surroundings } from './detector.ts';
import { dockerfile } from './dockerfile.ts';
import { go } from './go.ts';
import { node } from './node.ts';
import { python } from './python.ts';
import { openRepository } from './repository.ts';
import type { RepositoryView } from './repository.ts';
import { staticSite } from './static.ts';

/**
 * The order is the rule when several match: what a person wrote for containers comes first. A Go module often has a
 * package.json for its assets and hardly ever the other way round; index.html is in so many repositories that it is last.
 */
export const DETECTORS: readonly Detector[] = [dockerfile, go, node, python, staticSite];

/** Where a generated Dockerfile lies in the build context. */
const GENERATED_PATH = '.orkestr/Dockerfile';

/** Used with a generated Dockerfile when the repository has no .dockerignore. */
const IGNORED = '.git\n**/node_modules\n';

export interface PlanRequest {
  /** Absolute folder of the build context: the checkout, or the root directory inside it. */
  readonly directory: string;
  /** The same inside the repository, as the settings name it. */
  readonly rootDirectory: string;
  readonly settings: {
    readonly dockerfile?: string | undefined;
    readonly startCommand?: string | undefined;
  };
  /** The port that the environment asks for, and where it says so. */
  readonly port?: { readonly value: number; readonly from: string } | undefined;
  readonly surroundings: Surroundings;
}

/**
 * The build plan of a checkout, with the evidence for everything in it. Only reads.
 * @throws OrkestrError ORK_NOTHING_DETECTED, ORK_MANIFEST_INVALID, ORK_REPO_UNSAFE
 */
export async function planBuild(request: PlanRequest): Promise<BuildPlan> {
  const repository = openRepository(request.directory);
  const { detector, finding } = await firstMatch(repository, request);
  const { facts, evidence } = applySettings(finding, request);
  const generated =
    finding.dockerfile.origin === 'generated' ? finding.dockerfile.write(facts, request.surroundings) : null;
  const files = [...(generated?.files ?? [])];
  if (generated !== null && !(await repository.has('.dockerignore'))) {
    files.push({ path: '.dockerignore', text: IGNORED });
  }
  return {
    detector: detector.name,
    ...facts,
    evidence,
    warnings: [...finding.warnings, ...(await otherMarkers(detector, repository))],
    rootDirectory: request.rootDirectory,
    dockerfile:
      finding.dockerfile.origin === 'generated'
        ? { origin: 'generated', path: GENERATED_PATH, text: generated?.text ?? '' }
        : finding.dockerfile,
    files,
  };
}

async function firstMatch(
  repository: RepositoryView,
  request: PlanRequest,
): Promise<{ detector: Detector; finding: Finding }> {
  const missed: string[] = [];
  for (const detector of DETECTORS) {
    const result = await detector.detect({
      repository,
      dockerfile: request.settings.dockerfile,
      baseImages: request.surroundings.baseImages,
    });
    if (!('missed' in result)) return { detector, finding: result };
    missed.push(`${detector.name}: ${result.missed}`);
  }
  const where = request.rootDirectory === '.' ? 'the repository' : request.rootDirectory;
  throw new OrkestrError(
    'ORK_NOTHING_DETECTED',
    `Nothing in ${where} says how to build and start the app. Looked for: ${missed.join('; ')}.`,
    { evidence: missed },
  );
}

/** Settings of the environment win over what was found; their evidence takes the place of the detector's. */
function applySettings(finding: Finding, request: PlanRequest): { facts: Facts; evidence: Evidence[] } {
  const set: Evidence[] = [];
  const { startCommand } = request.settings;
  if (startCommand !== undefined) set.push({ subject: 'start', value: startCommand, from: 'environment setting' });
  if (request.port) set.push({ subject: 'port', value: String(request.port.value), from: request.port.from });
  const overridden = new Set(set.map((one) => one.subject));
  return {
    facts: {
      ...finding.facts,
      ...(startCommand !== undefined && { startCommand }),
      ...(request.port && { port: request.port.value }),
    },
    evidence: [...finding.evidence.filter((one) => !overridden.has(one.subject)), ...set],
  };
}

/** A warning when files of another detector are there too, so that a wrong guess is easy to see. */
async function otherMarkers(winner: Detector, repository: RepositoryView): Promise<string[]> {
  // A Dockerfile is a person's own answer, and a static site is taken only when nothing else matched.
  if (winner === dockerfile) return [];
  const others: string[] = [];
  for (const detector of DETECTORS) {
    if (detector === winner) continue;
    for (const marker of detector.markers) {
      if (!winner.markers.includes(marker) && (await repository.has(marker))) others.push(marker);
    }
  }
  return others.length === 0
    ? []
    : [
        `Taken as ${winner.name}, though ${others.join(', ')} is there too. Add a Dockerfile if that is not what you mean.`,
      ];
}

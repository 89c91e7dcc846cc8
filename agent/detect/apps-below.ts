/** Apps in folders of a repository with none at its root: `backend/`, `mysite/manage.py`, uv, Go or Deno workspaces. */
import type { DetectRequest, DetectedApp } from './detector.ts';
import { denoMembers } from './deno/workspace.ts';
import { goMembers } from './go/workspace.ts';
import type { rank } from './rank.ts';
import { uvMembers } from './python/uv-workspace.ts';
import { within } from './repository.ts';

const MAX_FOLDERS = 20;
/** Folders that support an app but do not contain one. */
const NO_APP =
  /^(?:build|ci|deploy\w*|docker|docs?|examples?|infra\w*|node_modules|scripts|templates?|tests?|tools|vendor|venv|env)$/i;

export interface AppBelow {
  readonly folder: string;
  /** The detected framework; null if the folder cannot be read. */
  readonly framework: string | null;
  /** More than an index.html. */
  readonly sure: boolean;
}

type Ranked = ReturnType<typeof rank<DetectedApp>>;

/** @param rankedOf runs the detectors on a folder, the deciding result first */
export async function appsBelow(
  request: DetectRequest,
  rankedOf: (request: DetectRequest) => Promise<Ranked>,
): Promise<AppBelow[]> {
  const { repository, checkout } = request;
  const entries = (await repository.entries('.'))
    .filter((entry) => /^[A-Za-z0-9_][A-Za-z0-9._-]*\/$/.test(entry))
    .map((entry) => entry.slice(0, -1));
  const members = [...(await goMembers(repository)), ...(await denoMembers(repository))];
  const mayBeApps = [...members, ...entries].filter((folder) => !folder.split('/').some((part) => NO_APP.test(part)));
  const folders = new Set([...(await uvMembers(repository)), ...mayBeApps]);
  folders.delete('.'); // already tried
  const found: AppBelow[] = [];
  for (const folder of [...folders].slice(0, MAX_FOLDERS)) {
    const [winner] = await rankedOf({
      ...request,
      repository: within(repository, folder),
      checkout: { ...checkout, rootDirectory: folder },
    });
    if (winner === undefined) continue;
    const app = winner.kind === 'found' ? winner.app : null;
    found.push({
      folder,
      framework: app?.facts.framework ?? null,
      sure: app !== null && app.confidence !== 'guess',
    });
  }
  return found;
}

/** The app to use without asking: the only one, and not just a guess. */
export function onlyApp(apps: readonly AppBelow[]): AppBelow | null {
  const [first, second] = apps;
  return first !== undefined && second === undefined && first.sure ? first : null;
}

/** A sentence that lists the apps, with advice; empty if there are none. */
export function describeApps(apps: readonly AppBelow[]): string {
  const [first] = apps;
  if (first === undefined) return '';
  const all = apps.map(({ folder, framework }) => (framework === null ? folder : `${folder} (${framework})`));
  const several = apps.length === 1 ? '' : ' Create an environment for each of them.';
  return ` Folders below contain apps: ${all.join(', ')}. Set rootDirectory, for example "rootDirectory": "${first.folder}" in an orkestr.json.${several}`;
}

/** Which package of a repository is the app: the root directory itself, or a member of a workspace. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { DetectRequest } from '../detector.ts';
import { joinPath, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { readPackageJson } from './package-json.ts';
import type { PackageJson } from './package-json.ts';
import { choosePackageManager } from './package-manager.ts';
import { howItRuns } from './start.ts';
import type { Running } from './start.ts';
import { workspaceAbove, workspaceOf } from './workspaces.ts';
import type { Workspace } from './workspaces.ts';

export interface NodeApp {
  /** The build context: the folder of the lockfile. */
  readonly root: RepositoryView;
  readonly rootManifest: PackageJson;
  /** Path of the root in the checkout. */
  readonly context: string;
  /** The app's folder in the root: `.`, or a member's folder. */
  readonly folder: string;
  readonly repository: RepositoryView;
  readonly manifest: PackageJson;
  readonly workspace: Workspace | null;
  readonly running: Running;
  readonly warnings: readonly string[];
}

/** Null without package.json. @throws OrkestrError ORK_APP_AMBIGUOUS, ORK_MANIFEST_INVALID */
export async function findApp({ repository, checkout, stated }: DetectRequest): Promise<NodeApp | null> {
  const manifest = await readPackageJson(repository);
  if (manifest === null) return null;
  const { rootDirectory } = checkout;
  const above = rootDirectory === '.' ? null : await workspaceAbove(checkout.repository, rootDirectory);
  if (above !== null) {
    const root = within(checkout.repository, above);
    const rootManifest = await readPackageJson(root);
    const folder = above === '.' ? rootDirectory : rootDirectory.slice(above.length + 1);
    if (rootManifest !== null) return member({ root, rootManifest, context: above }, folder, []);
  }
  const workspace = await workspaceOf(repository, manifest);
  const bun = (await choosePackageManager(repository, manifest)).name === 'bun';
  const running = await howItRuns(repository, manifest, bun);
  const whole = { root: repository, rootManifest: manifest, context: rootDirectory };
  const settled = stated.startCommand !== undefined || stated.outputDirectory !== undefined;
  const own = { ...whole, folder: '.', repository, manifest, workspace, running, warnings: [] };
  if (workspace === null || settled || (await isApp(own))) return own;
  return chooseMember(whole, workspace, running);
}

type Whole = Pick<NodeApp, 'root' | 'rootManifest' | 'context'>;

async function member(whole: Whole, folder: string, warnings: readonly string[]): Promise<NodeApp> {
  const repository = within(whole.root, folder);
  const manifest = (await readPackageJson(repository, `${folder}/package.json`)) ?? whole.rootManifest;
  const workspace = await workspaceOf(whole.root, whole.rootManifest);
  const bun = (await choosePackageManager(whole.root, whole.rootManifest)).name === 'bun';
  const running = await howItRuns(repository, manifest, bun);
  return { ...whole, folder, repository, manifest, workspace, running, warnings };
}

/** The only member that is an app; if there are several, the user must choose. */
async function chooseMember(whole: Whole, workspace: Workspace, own: Running): Promise<NodeApp> {
  const apps: NodeApp[] = [];
  const warnings = workspace.cut
    ? ['The workspace has more folders than orkestr looks at. If the app is in another one, set rootDirectory.']
    : [];
  for (const folder of workspace.members) {
    try {
      const found = await member(whole, folder, warnings);
      if (await isApp(found)) apps.push(found);
    } catch (error) {
      // A library's broken manifest must not hide the app beside it, and must itself be reported.
      if (!(error instanceof OrkestrError) || error.code !== 'ORK_MANIFEST_INVALID') throw error;
      warnings.push(error.message);
    }
  }
  const [first, second] = apps;
  if (first === undefined) {
    return {
      ...whole,
      folder: '.',
      repository: whole.root,
      manifest: whole.rootManifest,
      workspace,
      running: own,
      warnings,
    };
  }
  if (second === undefined) return first;
  const names = apps.slice(0, 20).map(({ context, folder, running }) => {
    const path = joinPath(context, folder);
    return `${path} (${running.framework?.name ?? 'Node.js'})`;
  });
  throw new OrkestrError('ORK_APP_AMBIGUOUS', `This workspace has several apps: ${names.join(', ')}.`, {
    evidence: names,
  });
}

/** Libraries have main files and build tools too: an app has a start script, a serving framework, or pages. */
async function isApp({ running: { framework, start, output }, repository }: NodeApp): Promise<boolean> {
  if (start !== null) return start.chosen || framework?.start !== undefined;
  return output !== null && (framework?.bundler !== true || (await repository.has('index.html')));
}

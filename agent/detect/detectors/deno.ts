/** Detector: Deno, by deno.json. */
import { z } from 'zod';
import type { Detector, Facts, DetectedApp, Miss, Stated } from '../detector.ts';
import { evidenceFor } from '../evidence.ts';
import { DENO_MANIFESTS, denoManifests, denoWorkspaceAround } from '../deno/workspace.ts';
import { writeDeno } from '../dockerfiles/deno.ts';
import { parseJsonWithComments } from '../manifests.ts';
import { procfileWeb } from '../procfile.ts';
import { firstFile, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { toolVersions, wantedVersion } from '../runtime.ts';
import { developmentNotices, withoutWatcher, withoutWatcherNotice } from '../node/production-start.ts';

const Task = z.union([
  z.string(),
  z.looseObject({ command: z.string().optional() }).transform(({ command = '' }) => command),
]);
const DenoJson = z.looseObject({
  tasks: z.record(z.string(), Task).default({}),
  imports: z.record(z.string(), z.string()).default({}),
});
type DenoJson = z.infer<typeof DenoJson>;

const ENTRY_FILES = ['main.ts', 'server.ts', 'mod.ts', 'main.js', 'src/main.ts'];
const PORT = 8000;
const DEFAULT_VERSION = '2';
const INSTALL = 'deno install';
const VERSION_FILES = [
  { path: '.dvmrc', read: (text: string) => /^v?(\d[\d.]*)/.exec(text)?.[1] },
  ...toolVersions('deno'),
];

export const deno: Detector = {
  name: 'deno',
  frameworks: ['Deno', 'Fresh'],
  best: 'certain',

  async detect({ repository, checkout, stated }): Promise<DetectedApp | Miss> {
    const manifest = await firstFile(repository, DENO_MANIFESTS);
    if (manifest === null) return { missed: 'no deno.json or deno.jsonc' };
    const config = parseJsonWithComments(manifest.path, manifest.text, DenoJson);
    const start = await startOf(repository, config, manifest.path);
    if (start === null) return { missed: `${manifest.path}, but no task start and none of ${ENTRY_FILES.join(', ')}` };
    const workspace = await denoWorkspaceAround(checkout.repository, checkout.rootDirectory);
    const root = workspace === null ? repository : within(checkout.repository, workspace.root);
    const fresh = Object.keys({ ...workspace?.imports, ...config.imports }).some(
      (name) => name === '$fresh/' || name === 'fresh' || name === '@fresh/core',
    );
    const framework = fresh ? 'Fresh' : 'Deno';
    const version = await versionOf([repository, root], stated.runtimeVersion);
    const { install, cache } = commandsOf(version.value, start.file);
    const facts: Facts = {
      framework,
      runtime: 'deno',
      version: version.value,
      port: PORT,
      ...(install !== null && { installCommand: install }),
      ...(Object.hasOwn(config.tasks, 'build') && { buildCommand: 'deno task build' }),
      startCommand: start.command,
    };
    const recipe = {
      setup: `deno@${version.value}`,
      folder: workspace?.folder ?? '.',
      manifests: install === INSTALL ? (workspace?.manifests ?? (await denoManifests(repository, config))) : [],
      cache,
    };
    return {
      confidence: 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: manifest.path,
          runtime: manifest.path,
          install: install === INSTALL ? manifest.path : start.from,
          build: `${manifest.path} tasks.build`,
          start: start.from,
        },
        { runtime: 'Deno', version: { subject: 'version', ...version } },
      ),
      warnings: start.notices,
      ...(workspace !== null && { context: workspace.root }),
      dockerfile: { origin: 'generated', write: (final) => writeDeno(recipe, final) },
    };
  },
};

/** Before Deno 2, `deno install` installed programs on the machine, and imports were fetched by URL. */
function commandsOf(version: string, file: string | null): { install: string | null; cache: string | null } {
  const cache = file === null ? null : `deno cache ${file}`;
  return /^[01](?:\.|$)/.test(version) ? { install: cache, cache: null } : { install: INSTALL, cache };
}

async function versionOf(
  folders: readonly RepositoryView[],
  stated: Stated<string> | undefined,
): Promise<Stated<string>> {
  const wanted = await wantedVersion(folders, { files: VERSION_FILES }, { stated, said: null });
  const value = /^\D{0,2}(\d+(?:\.\d+){0,2})/.exec(wanted?.value ?? '')?.[1];
  return value === undefined
    ? { value: DEFAULT_VERSION, from: 'default: the current major version' }
    : { value, from: `${wanted?.from}: ${wanted?.value.slice(0, 60)}` };
}

interface Start {
  readonly command: string;
  readonly from: string;
  readonly file: string | null;
  readonly notices: readonly string[];
}

async function startOf(repository: RepositoryView, { tasks }: DenoJson, path: string): Promise<Start | null> {
  const web = await procfileWeb(repository);
  const entry = await firstFile(repository, ENTRY_FILES);
  const file = entry?.path ?? null;
  if (web !== null) return { command: web, from: 'Procfile', file, notices: [] };
  if (Object.hasOwn(tasks, 'start')) return { ...taskStart(tasks, path), file };
  if (entry === null) return null;
  // A module that exports a handler needs `deno serve`; `deno run` would exit at once.
  const isHandler = /^export default\b/m.test(entry.text) && !/\bDeno\.serve\(/.test(entry.text);
  const command = isHandler ? 'deno serve --host 0.0.0.0 --port $PORT' : 'deno run';
  return {
    command: `${command} --allow-net --allow-env --allow-read ${entry.path}`,
    from: entry.path,
    file,
    notices: [],
  };
}

/** Before Fresh 2, `start` watched files, and `preview` was the production server. */
function taskStart(tasks: DenoJson['tasks'], path: string): Omit<Start, 'file'> {
  const task = { command: tasks['start']?.trim() ?? '', from: `${path} tasks.start` };
  const plain = withoutWatcher(task.command);
  const notices = developmentNotices(task);
  if (notices.length > 0 && Object.hasOwn(tasks, 'preview')) {
    return { command: 'deno task preview', from: `${path} tasks.preview`, notices: [] };
  }
  if (plain === null) return { command: 'deno task start', from: task.from, notices };
  return { command: plain, from: task.from, notices: [withoutWatcherNotice(task.from, plain)] };
}

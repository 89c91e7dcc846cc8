/** Detector: .NET, by a project file. */
import { OrkestrError } from '../../../protocol/errors.ts';
import type { Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { evidenceFor } from '../evidence.ts';
import { writeBlazor, writeDotnet } from '../dockerfiles/dotnet.ts';
import { STATIC_PORT } from '../dockerfiles/static.ts';
import { versionOf } from '../dotnet/version.ts';
import { joinPath, present } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';

/** Files that a restore reads in addition to the project. */
const MANIFESTS = [
  'Directory.Build.props',
  'Directory.Build.targets',
  'Directory.Packages.props',
  'NuGet.config',
  'NuGet.Config',
  'nuget.config',
  'packages.lock.json',
];
const MAX_FOLDERS = 50;
const PORT = 8080;

/** A server, a page that runs in the browser, or any other program; the likeliest app first. */
const KINDS = ['web', 'wasm', 'program'] as const;

interface Project {
  readonly path: string;
  readonly text: string;
  readonly kind: (typeof KINDS)[number];
}

const FRAMEWORKS: Readonly<Record<Project['kind'], string>> = {
  web: 'ASP.NET Core',
  wasm: 'Blazor WebAssembly',
  program: '.NET',
};

export const dotnet: Detector = {
  name: 'dotnet',
  frameworks: Object.values(FRAMEWORKS),
  best: 'certain',

  async detect({ repository, stated }): Promise<DetectedApp | Miss> {
    const projects = await projectsOf(repository);
    const best = KINDS.find((kind) => projects.some((project) => project.kind === kind));
    const [project, second] = projects.filter(({ kind }) => kind === best);
    if (project === undefined)
      return {
        missed:
          'no project file (.csproj, .fsproj, .vbproj) in the root directory or below, with a path of letters, digits, dots, dashes and _',
      };
    if (second !== undefined) {
      const paths = projects.map(({ path }) => path);
      throw new OrkestrError(
        'ORK_APP_AMBIGUOUS',
        `Several projects could be the app: ${paths.slice(0, 20).join(', ')}.`,
      );
    }
    const version = await versionOf(repository, project, stated.runtimeVersion);
    const { target } = version;
    const assembly = /<AssemblyName>\s*([A-Za-z0-9._-]+)\s*</.exec(project.text)?.[1] ?? nameOf(project.path);
    const web = project.kind === 'web';
    const wasm = project.kind === 'wasm';
    const facts: Facts = {
      framework: FRAMEWORKS[project.kind],
      runtime: wasm ? 'static' : 'dotnet',
      version: version.value,
      ...(web && { port: PORT }),
      installCommand: `dotnet restore ${project.path}`,
      buildCommand: `dotnet publish ${project.path} -c Release${target === null ? '' : ` -f ${target}`} -o /out`,
      ...(wasm
        ? { port: STATIC_PORT, outputDirectory: 'wwwroot' }
        : { startCommand: `dotnet ${assembly}.dll${web ? ' --urls http://0.0.0.0:$PORT' : ''}` }),
    };
    const recipe = {
      version: version.value,
      project: project.path,
      manifests: await present(repository, MANIFESTS),
      web,
      rollsForward: version.rollsForward,
      globalJson: version.globalJson,
    };
    return {
      confidence: project.kind === 'program' ? 'likely' : 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: project.path,
          runtime: project.path,
          start: project.path,
          ...(wasm && { port: 'generated nginx configuration' }),
        },
        { runtime: '.NET', version: { subject: 'version', value: version.value, from: version.from } },
      ),
      warnings: version.warnings,
      dockerfile: {
        origin: 'generated',
        write: (final) => (wasm ? writeBlazor(recipe, final) : writeDotnet(recipe, final)),
      },
    };
  },
};

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1).replace(/\.\w+$/, '');

/** Project files in the root directory, else one and two levels below, without test projects. */
async function projectsOf(repository: RepositoryView): Promise<Project[]> {
  const found: Project[] = [];
  const waiting = ['.'];
  for (let seen = 0; waiting.length > 0 && seen < MAX_FOLDERS; seen += 1) {
    const folder = waiting.shift() ?? '.';
    const depth = folder === '.' ? 0 : folder.split('/').length;
    for (const entry of await repository.entries(folder)) {
      const path = joinPath(folder, entry);
      if (/^[A-Za-z0-9_][A-Za-z0-9._-]*\/$/.test(entry) && depth < 2 && entry !== 'node_modules/')
        waiting.push(path.slice(0, -1));
      if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*\.(?:cs|fs|vb)proj$/.test(entry) || /tests?\.\w+$/i.test(entry)) continue;
      const text = (await repository.text(path)) ?? '';
      found.push({ path, text, kind: kindOf(text) });
    }
    if (folder === '.' && found.length > 0) return found;
  }
  return found.filter(({ kind, text }) => kind !== 'program' || /<OutputType>\s*Exe/i.test(text));
}

function kindOf(text: string): Project['kind'] {
  if (/Sdk="Microsoft\.NET\.Sdk\.Web"/.test(text)) return 'web';
  return /Sdk="Microsoft\.NET\.Sdk\.BlazorWebAssembly"/.test(text) ? 'wasm' : 'program';
}

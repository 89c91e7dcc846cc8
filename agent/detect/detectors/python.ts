/** Detector: Python, by its dependencies, a Procfile, a framework or an entry file. */
import type { Confidence } from '../../../protocol/steps.ts';
import type { Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { evidenceFor, versionFact } from '../evidence.ts';
import { REQUIREMENTS, writePython } from '../dockerfiles/python.ts';
import { pythonDependencies } from '../python/dependencies.ts';
import type { PythonDependencies } from '../python/dependencies.ts';
import { ENTRY_FILES } from '../python/app.ts';
import {
  COLLECT_ADVICE,
  DJANGO,
  djangoBuild,
  djangoNeeds,
  djangoProject,
  djangoSettings,
  hostsWarning,
  staticWarning,
} from '../python/django.ts';
import type { DjangoBuild, DjangoProject } from '../python/django.ts';
import type { PythonStart } from '../python/frameworks.ts';
import { headlessWarning, systemPackages } from '../python/libraries.ts';
import { PYTHON_FRAMEWORKS, startOf, unlistedWarning } from '../python/start.ts';
import type { Need } from '../needs.ts';
import { chooseRuntime, toolVersions, versionFile } from '../runtime.ts';
import type { ChosenRuntime, Runtime } from '../runtime.ts';

const RUNTIME: Runtime = {
  name: 'Python',
  kind: 'python',
  digits: 2,
  lines: ['3.14', '3.15', '3.12', '3.11', '3.10'],
  trixieSince: '3.9',
  supported: ['3.15', '3.14', '3.13', '3.12', '3.11'],
  standing: 'a version with security fixes until October 2029',
  files: [versionFile('.python-version'), versionFile('runtime.txt'), ...toolVersions('python')],
};

export const python: Detector = {
  name: 'python',
  frameworks: ['Python', ...PYTHON_FRAMEWORKS.map(({ name }) => name)],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository } = request;
    const dependencies = await pythonDependencies(request);
    const django = await djangoProject(repository, dependencies);
    const start = await startOf(request, dependencies, django);
    if (start === null) {
      const files = dependencies === null ? 'no requirements.txt, pyproject.toml or Pipfile, and ' : '';
      return {
        missed: `${files}no startCommand, no Procfile with a web line, no manage.py, none of ${ENTRY_FILES.join(', ')}`,
      };
    }
    const folders = [repository, request.checkout.repository];
    const runtime = await chooseRuntime(request, folders, RUNTIME, dependencies?.python ?? null);
    const install = installOf(dependencies);
    const { names, needsGit } = dependencies ?? { names: new Set<string>(), needsGit: false };
    const { build, needs, warnings } = await djangoParts(django, start, names);
    const facts = factsOf({ start, build, install, runtime });
    const recipe = {
      image: runtime.image,
      dependencies,
      packages: systemPackages({ names, needsGit }),
      advice: build === null ? undefined : COLLECT_ADVICE,
    };
    return {
      confidence: confidenceOf(start),
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: start.frameworkFrom,
          runtime: dependencies?.file ?? start.from,
          ...(build && { build: build.from }),
          start: start.from,
        },
        {
          runtime: 'Python',
          version: runtime.evidence,
          ...(install !== null &&
            dependencies !== null && { manager: { value: dependencies.manager.name, from: dependencies.file } }),
        },
      ),
      warnings: [
        ...warningsOf(start, build),
        ...warnings,
        ...(await unlistedWarning(request, start, install)),
        ...headlessWarning(names),
        ...runtime.warnings,
      ],
      needs,
      ...(dependencies?.workspace && { context: dependencies.workspace.root }),
      dockerfile: { origin: 'generated', write: (final) => writePython(recipe, final) },
    };
  },
};

/** A file that is simply run could be anything, and a stated command could belong to another language. */
function confidenceOf({ framework, from, isStated = false }: PythonStart): Confidence {
  if (isStated) return 'guess';
  return framework === 'Python' && from !== 'Procfile' ? 'likely' : 'certain';
}

/** Django's own parts: its build, a secret key, the allowed hosts. */
async function djangoParts(
  project: DjangoProject | null,
  { framework, command }: PythonStart,
  names: ReadonlySet<string>,
): Promise<{ build: DjangoBuild | null; needs: readonly Need[]; warnings: readonly string[] }> {
  const settings = framework === DJANGO.name && project !== null ? await djangoSettings(project) : null;
  if (settings === null) return { build: null, needs: [], warnings: [] };
  return {
    build: djangoBuild(settings, names),
    needs: djangoNeeds(settings),
    warnings: [...hostsWarning(settings), ...staticWarning(settings, command)],
  };
}

interface Found {
  readonly start: PythonStart;
  readonly build: DjangoBuild | null;
  readonly install: string | null;
  readonly runtime: ChosenRuntime;
}

function factsOf({ start, build, install, runtime }: Found): Facts {
  return {
    framework: start.framework,
    runtime: 'python',
    ...versionFact(runtime),
    ...(start.port && { port: start.port }),
    ...(install && { installCommand: install }),
    ...(build && { buildCommand: build.command }),
    startCommand: start.command,
  };
}

function warningsOf({ warning }: PythonStart, build: DjangoBuild | null): string[] {
  return [...(warning === undefined ? [] : [warning]), ...(build?.warnings ?? [])];
}

function installOf(dependencies: PythonDependencies | null): string | null {
  if (dependencies === null) return null;
  const { install, file } = dependencies;
  if (install.kind === 'requirements') return `pip install -r ${file}`;
  if (install.kind === 'project') return 'pip install .';
  if (install.kind === 'locked') return install.command;
  return install.lines.length === 0 ? null : `pip install -r ${REQUIREMENTS}`;
}

/** Detector: Java and Kotlin, by the build file of Maven or Gradle. */
import type { Detector, Facts, DetectedApp, Miss } from '../detector.ts';
import { evidenceFor, versionFact } from '../evidence.ts';
import { writeJava } from '../dockerfiles/java.ts';
import { hasStartScript, modulesOf } from '../java/module.ts';
import type { BuildFile, Modules } from '../java/module.ts';
import { firstFile, within } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';
import { chooseRuntime, MISE_FILES } from '../runtime.ts';
import type { ChosenRuntime, Runtime, VersionFile } from '../runtime.ts';
import { withVersion } from '../base-images.ts';

/** A version in a build file is a minimum. `1.8` means 8. */
const atLeast = (path: string, pattern: RegExp): VersionFile => ({
  path,
  read: (text) => {
    const found = pattern
      .exec(text)
      ?.slice(1)
      .find((group) => group !== undefined);
    return found === undefined ? null : `>=${found.replace(/^1\./, '')}`;
  },
});

const GRADLE_VERSION =
  /JavaLanguageVersion\.of\((\d+)\)|jvmToolchain\((\d+)\)|(?:source|target)Compatibility\s*=\s*(?:JavaVersion\.VERSION_)?["']?([\d.]+)/;

/** The newest LTS that this Gradle runs on (by its compatibility matrix); null if that is the current one. */
function newestForGradle(wrapper: string): string | null {
  const [, major, minor = '0'] = /gradle-(\d+)(?:\.(\d+))?[\d.]*-(?:bin|all)\.zip/.exec(wrapper) ?? [];
  if (major === undefined) return null;
  const version = Number(major) * 100 + Number(minor);
  if (version >= 901) return null;
  return version >= 805 ? '21' : '17';
}

const RUNTIME: Runtime = {
  name: 'Java',
  kind: 'java',
  digits: 1,
  lines: ['8', '11', '17', '21', '25'],
  nearest: true,
  supported: ['25', '21', '17', '11', '8'],
  standing: 'the current LTS',
  files: [
    atLeast('system.properties', /java\.runtime\.version\s*=\s*([\d.]+)/),
    atLeast('.java-version', /^(?:[a-z]+-)?(\d+)/),
    atLeast('.sdkmanrc', /^java=(\d+)/m),
    ...MISE_FILES.map((path) => atLeast(path, /^java[ \t]*=[ \t]*["'](?:[a-z]+-)*(\d+)/m)),
    atLeast('.tool-versions', /^java[ \t]+(?:[a-z]+-)*(\d+)/m),
    atLeast('pom.xml', /<(?:java\.version|maven\.compiler\.(?:release|source)|release)>\s*([\d.]+)\s*</),
    atLeast('build.gradle', GRADLE_VERSION),
    atLeast('build.gradle.kts', GRADLE_VERSION),
    { path: 'gradle/wrapper/gradle-wrapper.properties', read: newestForGradle },
  ],
};

interface Framework {
  readonly name: string;
  readonly pattern: RegExp;
  /** Options of `java` that bind it to $PORT. */
  readonly options: string;
  /** Makes it trust `X-Forwarded-Proto` from the proxy, whatever the proxy's address. */
  readonly environment?: string;
}

const FRAMEWORKS: readonly Framework[] = [
  {
    name: 'Spring Boot',
    pattern: /spring-boot|org\.springframework\.boot|libs\.plugins\.spring/,
    options: '-Dserver.port=$PORT ',
    // Spring's own filter rather than the server's: it also handles X-Forwarded-Prefix.
    environment: 'SERVER_FORWARD_HEADERS_STRATEGY=framework',
  },
  {
    name: 'Quarkus',
    pattern: /io\.quarkus|libs\.plugins\.quarkus/,
    options: '-Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT ',
    environment: 'QUARKUS_HTTP_PROXY_PROXY_ADDRESS_FORWARDING=true',
  },
  { name: 'Micronaut', pattern: /io\.micronaut|libs\.plugins\.micronaut/, options: '-Dmicronaut.server.port=$PORT ' },
  { name: 'Ktor', pattern: /io\.ktor|libs\.plugins\.ktor/, options: '' },
];
const WRAPPERS = { maven: 'mvnw', gradle: 'gradlew' };
/** Files that list the modules of Gradle. */
const SETTINGS = ['settings.gradle.kts', 'settings.gradle'];
const PORT = 8080;

export const java: Detector = {
  name: 'java',
  frameworks: ['Java', ...FRAMEWORKS.map(({ name }) => name)],
  best: 'certain',

  async detect(request): Promise<DetectedApp | Miss> {
    const { repository } = request;
    const build = await readBuild(repository);
    if (build === null) return { missed: 'no pom.xml, build.gradle or build.gradle.kts' };
    const { tool, wrapper, manifest, modules, framework, folder, startScript } = build;
    const folders = folder === null ? [repository] : [within(repository, folder), repository];
    const runtime = await chooseRuntime(request, folders, RUNTIME);
    const quarkus = framework?.name === 'Quarkus';
    const jar = quarkus ? 'quarkus-run.jar' : 'app.jar';
    const facts: Facts = {
      framework: framework?.name ?? 'Java',
      runtime: 'java',
      ...versionFact(runtime),
      port: PORT,
      buildCommand: buildCommand(build),
      startCommand: startScript ? 'bin/app' : `java ${framework?.options ?? ''}-jar ${jar}`,
    };
    const recipe = {
      image: runtime.image,
      jre: jreOf(runtime, request.surroundings.baseImages.jre),
      tool,
      wrapper,
      environment: framework?.environment,
      quarkus,
      startScript,
      module: folder,
    } as const;
    return {
      confidence: framework === undefined ? 'likely' : 'certain',
      facts,
      evidence: evidenceFor(
        facts,
        {
          framework: manifest.path,
          runtime: manifest.path,
          build: modules.app?.file.path ?? `${tool} default`,
          start: `${facts.framework} default`,
        },
        {
          runtime: 'Java',
          version: runtime.evidence,
          manager: { value: tool, from: wrapper ? `${tool} wrapper` : manifest.path },
        },
      ),
      warnings: [...runtime.warnings, ...modulesWarning(modules, tool), ...(await wrapperWarning(repository, build))],
      dockerfile: { origin: 'generated', write: (final) => writeJava(recipe, final) },
    };
  },
};

interface Build {
  readonly tool: 'maven' | 'gradle';
  /** The repository contains the tool's wrapper. */
  readonly wrapper: boolean;
  readonly manifest: BuildFile;
  readonly modules: Modules;
  readonly framework: Framework | undefined;
  /** Folder of the module that is the app; null: the root. */
  readonly folder: string | null;
  /** Gradle produces a start script with jars rather than a self-contained jar. */
  readonly startScript: boolean;
}

/** The build file at the root, and the module that is the app; null if there is no build file. */
async function readBuild(repository: RepositoryView): Promise<Build | null> {
  const manifest = await firstFile(repository, ['pom.xml', 'build.gradle.kts', 'build.gradle', ...SETTINGS]);
  if (manifest === null) return null;
  const tool = manifest.path === 'pom.xml' ? 'maven' : 'gradle';
  const settings = tool === 'maven' ? manifest : await firstFile(repository, SETTINGS);
  const modules = await modulesOf(repository, tool, settings?.text ?? '');
  // A settings file alone builds nothing.
  if (SETTINGS.includes(manifest.path) && modules.runnable.length === 0) return null;
  // A module inherits what it does not declare from the root build file.
  const texts = [modules.app?.file.text ?? '', manifest.text];
  const framework = FRAMEWORKS.find(({ pattern }) => texts.some((text) => pattern.test(text)));
  const startScript = tool === 'gradle' && hasStartScript(modules.app?.file.text ?? manifest.text);
  const wrapper = await repository.has(WRAPPERS[tool]);
  return { tool, wrapper, manifest, modules, framework, folder: modules.app?.folder ?? null, startScript };
}

async function wrapperWarning(repository: RepositoryView, { tool, wrapper }: Build): Promise<string[]> {
  const jar = 'gradle/wrapper/gradle-wrapper.jar';
  if (tool === 'maven') return [];
  if (!wrapper) {
    return [
      'There is no gradlew, and the Gradle of Debian, 4.4.1, is too old for most builds. Run `gradle wrapper` and commit the files that it writes.',
    ];
  }
  // A `*.jar` in .gitignore would exclude it.
  if (await repository.has(jar)) return [];
  return [
    `${jar} is not in the repository, and gradlew cannot run without it. Run \`git add --force ${jar}\` and commit it.`,
  ];
}

function modulesWarning({ app, all, runnable }: Modules, tool: 'maven' | 'gradle'): string[] {
  if (tool === 'maven' && all.length > 0 && runnable.length === 0) {
    return [
      'No framework plugin packages a module of pom.xml, so orkestr looks for the jar in target/ of the root directory. If the jar is elsewhere, add a Dockerfile that copies it.',
    ];
  }
  if (app !== null || runnable.length === 0) return [];
  return [
    `The build has several modules that could be the app: ${runnable.join(', ')}. ${tool} builds all of them, and orkestr looks for the jar at the root. Add a Dockerfile that copies the right jar.`,
  ];
}

/** Wrappers are run by sh, since not every repository preserves their executable bit. */
function buildCommand({ tool, wrapper, folder, startScript }: Build): string {
  if (tool === 'maven') {
    const only = folder === null ? '' : ` -pl ${folder} -am`;
    return `${wrapper ? 'sh ./mvnw' : 'mvn'} -B -DskipTests package${only}`;
  }
  const task = `${folder === null ? '' : `:${folder.replaceAll('/', ':')}:`}${startScript ? 'installDist' : 'build'}`;
  return `${wrapper ? 'sh ./gradlew' : 'gradle'} --no-daemon -x test ${task}`;
}

/** The JRE of the same version as the JDK. */
const jreOf = ({ version, evidence }: ChosenRuntime, jre: string): string =>
  version === '' || evidence.from.startsWith('base image') ? jre : withVersion(jre, version);

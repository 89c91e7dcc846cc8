/** Which module of a build is the app: the only runnable one among Maven's `<modules>` or Gradle's `include`. */
import { firstFile } from '../repository.ts';
import type { RepositoryView } from '../repository.ts';

const MAX_MODULES = 30;
const FOLDER = /^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]{0,200}$/;

export interface BuildFile {
  readonly path: string;
  readonly text: string;
}

export interface Modules {
  /** Folder of the app and its build file; null if none or several are runnable. */
  readonly app: { readonly folder: string; readonly file: BuildFile } | null;
  /** Folders of all modules, and of the runnable ones. */
  readonly all: readonly string[];
  readonly runnable: readonly string[];
}

/** Gradle's application plugin, which packages a start script with jars. */
const APPLICATION = /^[ \t]*(?:application[ \t]*$|(?:id|apply plugin:)[ \t(]*["']application["'])/m;
/** Plugins that package a self-contained jar. */
const ONE_JAR =
  /^(?!.*\bapply\s+false).*(?:org\.springframework\.boot|io\.ktor\.plugin|io\.micronaut\.application|io\.quarkus["']|\.shadow["']|libs\.plugins\.(?:spring|ktor|quarkus|micronaut|shadow))/m;

/** Whether a Gradle build file produces a start script rather than a self-contained jar. */
export const hasStartScript = (text: string): boolean => APPLICATION.test(text) && !ONE_JAR.test(text);

interface Tool {
  readonly files: readonly string[];
  /** Module folders listed in a build file. */
  readonly modules: (text: string) => string[];
  /** Whether a module is a program rather than a library. */
  readonly runnable: (text: string) => boolean;
}

const TOOLS: Readonly<Record<'maven' | 'gradle', Tool>> = {
  maven: {
    files: ['pom.xml'],
    modules: (text) => [...text.matchAll(/<module>\s*([^<\s]+)\s*<\/module>/g)].map(([, name = '']) => name),
    runnable: (text) => /<artifactId>\s*(?:spring-boot|quarkus|micronaut)-maven-plugin\s*</.test(text),
  },
  gradle: {
    files: ['build.gradle.kts', 'build.gradle'],
    modules: (text) =>
      [...text.matchAll(/^[ \t]*include[ \t(]+([^)\n]+)/gm)].flatMap(([, list = '']) =>
        [...list.matchAll(/["']:?([^"']+)["']/g)].map(([, name = '']) => name.replaceAll(':', '/')),
      ),
    runnable: (text) => ONE_JAR.test(text) || APPLICATION.test(text),
  },
};

/** @param names text that lists the modules: the pom, or Gradle's settings */
export async function modulesOf(repository: RepositoryView, tool: 'maven' | 'gradle', names: string): Promise<Modules> {
  const { files, modules, runnable } = TOOLS[tool];
  const folders = modules(names).filter((folder) => FOLDER.test(folder));
  const found: { folder: string; file: BuildFile }[] = [];
  for (const folder of folders.slice(0, MAX_MODULES)) {
    const file = await firstFile(
      repository,
      files.map((name) => `${folder}/${name}`),
    );
    if (file !== null && runnable(file.text)) found.push({ folder, file });
  }
  const [app, second] = found;
  return {
    app: second === undefined ? (app ?? null) : null,
    all: folders,
    runnable: found.map(({ folder }) => folder),
  };
}

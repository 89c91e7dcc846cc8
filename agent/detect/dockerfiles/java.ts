/** Generated Dockerfile for the JVM: built with a JDK, run with a JRE. */
import type { Generated, WriteRequest } from '../detector.ts';
import { cacheMount, runAs, stages, USER } from './common.ts';

interface JavaRecipe {
  readonly image: string;
  readonly jre: string;
  readonly tool: 'maven' | 'gradle';
  /** The repository contains a wrapper: mvnw, gradlew. */
  readonly wrapper: boolean;
  /** Setting of the framework: `NAME=value`. */
  readonly environment: string | undefined;
  /** Quarkus produces a folder rather than one jar. */
  readonly quarkus: boolean;
  /** Gradle produces a folder with a start script and jars. */
  readonly startScript: boolean;
  /** Folder of the module that is the app; null: the root. */
  readonly module: string | null;
}

const CACHE = { maven: '/root/.m2', gradle: '/root/.gradle' };
const OUTPUT = { maven: 'target', gradle: 'build/libs' };
const QUARKUS = { maven: 'target/quarkus-app', gradle: 'build/quarkus-app' };

export function writeJava(recipe: JavaRecipe, { facts, surroundings }: WriteRequest): Generated {
  const { tool, wrapper, image, jre, environment } = recipe;
  const { installCommand, buildCommand = '', startCommand = '' } = facts;
  const program = tool === 'maven' ? 'mvn' : 'gradle';
  const build = [
    `FROM ${image} AS build`,
    ...(wrapper
      ? []
      : [`RUN command -v ${program} || (apt-get update && apt-get install -y --no-install-recommends ${tool})`]),
    'WORKDIR /src',
    'COPY . .',
    ...(installCommand === undefined ? [] : [`RUN ${installCommand}`]),
    // Dependencies are in a cache mount, not in a layer: which files of a multi-module build list them is hard to tell.
    `RUN ${cacheMount(surroundings.cacheScope, tool, CACHE[tool])} ${buildCommand}`,
    `RUN mkdir -p /out && ${collected(recipe)}`,
  ];
  const run = [
    `FROM ${jre}`,
    `ENV HOME=/tmp JAVA_TOOL_OPTIONS=-XX:MaxRAMPercentage=75${environment === undefined ? '' : ` ${environment}`}`,
    `COPY --from=build --chown=${USER} /out /app`,
    ...runAs(startCommand),
  ];
  return { text: stages(build, run), files: [] };
}

/** Collects the files to run in /out. */
function collected({ tool, quarkus, startScript, module }: JavaRecipe): string {
  const at = module === null ? '' : `${module}/`;
  if (quarkus) return `cp -r ${at}${QUARKUS[tool]}/. /out/`;
  // The script is named after the project, and finds its jars relative to its own path.
  if (startScript) return `cp -r ${at}build/install/*/. /out/ && rm -f /out/bin/*.bat && mv /out/bin/* /out/bin/app`;
  // Builds also leave jars with sources, documentation, or without dependencies: the largest other one is complete.
  const jar = `ls -S ${at}${OUTPUT[tool]}/*.jar ${at}${OUTPUT[tool]}/*.war 2>/dev/null | grep -v -e '-sources' -e '-javadoc' -e '-plain' -e 'original-' | head -n 1`;
  return `cp "$(${jar})" /out/app.jar`;
}

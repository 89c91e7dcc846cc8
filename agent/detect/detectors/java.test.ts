import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const plan = (files: Record<string, string>): Promise<BuildPlan> => repository.plan(files);
const pom = (...modules: readonly string[]): string =>
  `<project><modules>${modules.map((name) => `<module>${name}</module>`).join('')}</modules></project>`;
const boot = '<plugin><artifactId>spring-boot-maven-plugin</artifactId></plugin>';

test('in a Maven build with modules the module that is packaged to run is the app', async () => {
  const made = await plan({
    'pom.xml': pom('shared', 'services/web', '../outside'),
    'shared/pom.xml': '<project/>',
    'services/web/pom.xml': `<java.version>17</java.version>${boot}`,
  });
  assert.deepEqual([made.framework, made.version, made.warnings], ['Spring Boot', '17', []]);
  assert.equal(made.buildCommand, 'mvn -B -DskipTests package -pl services/web -am');
  assert.match(made.dockerfile.text, /ls -S services\/web\/target\/\*\.jar services\/web\/target\/\*\.war /);
});

test('several runnable modules cause a warning that names each', async () => {
  const made = await plan({ 'pom.xml': pom('a', 'b'), 'a/pom.xml': boot, 'b/pom.xml': boot });
  assert.match(made.warnings.join(), /several modules that could be the app: a, b\./);
  assert.equal(made.buildCommand, 'mvn -B -DskipTests package');
});

test('in a Gradle build with only settings at its root the runnable module is the app', async () => {
  const made = await plan({
    'settings.gradle.kts': 'rootProject.name = "shop"\ninclude("lib", ":app")\n',
    gradlew: '',
    'lib/build.gradle.kts': 'plugins { `java-library` }',
    'app/build.gradle.kts': 'plugins {\n  id("org.springframework.boot") version "3.5.0"\n}\n',
  });
  assert.equal(made.framework, 'Spring Boot');
  assert.equal(made.buildCommand, 'sh ./gradlew --no-daemon -x test :app:build');
  assert.match(made.dockerfile.text, /ls -S app\/build\/libs\/\*\.jar /);
});

test('without a runnable module Maven gets a warning, and Gradle settings alone are no app', async () => {
  const made = await plan({ 'pom.xml': pom('a'), 'a/pom.xml': '<project/>' });
  assert.match(made.warnings.join(), /No framework plugin packages a module/);
  await assert.rejects(
    plan({ 'settings.gradle': "include 'a', 'b'\n", 'a/build.gradle': '', 'b/build.gradle': '' }),
    /java: no pom\.xml/,
  );
});

test('a plugin that the root only declares for its modules does not make the root a program', async () => {
  const made = await plan({
    'settings.gradle': "include 'a'\ninclude 'b'\n",
    'build.gradle': "plugins { id 'org.springframework.boot' version '3.5.0' apply false }\n",
    'a/build.gradle': "plugins { id 'org.springframework.boot' apply false }\n",
    'b/build.gradle': "plugins { id 'org.springframework.boot' }\n",
  });
  assert.match(made.buildCommand ?? '', / -x test :b:build$/);
});

test('a Gradle application without a plugin for a single jar runs through its start script', async () => {
  const settings = { 'settings.gradle.kts': 'include("app")\n', gradlew: '' };
  const plugins = (...lines: readonly string[]): string =>
    `plugins {\n${lines.map((line) => `  ${line}\n`).join('')}}\n`;
  const made = await plan({ ...settings, 'app/build.gradle.kts': plugins('application', 'kotlin("jvm")') });
  assert.deepEqual([made.startCommand, made.rootDirectory], ['bin/app', '.']);
  assert.equal(made.buildCommand, 'sh ./gradlew --no-daemon -x test :app:installDist');
  assert.match(
    made.dockerfile.text,
    /cp -r app\/build\/install\/\*\/\. \/out\/ .* mv \/out\/bin\/\* \/out\/bin\/app$/m,
  );
  const shadow = plugins("id 'application'", "id 'com.gradleup.shadow' version '9.0.0'");
  assert.match((await plan({ 'build.gradle': shadow })).startCommand ?? '', /-jar app\.jar$/);
  assert.equal((await plan({ 'build.gradle': plugins("id 'application'") })).startCommand, 'bin/app');
  assert.match((await plan({ 'build.gradle': plugins("id 'java'") })).startCommand ?? '', /-jar app\.jar$/);
});

test('the jar that contains the libraries is used among several, whatever its name', async () => {
  const made = await plan({ 'build.gradle.kts': 'plugins { id("io.ktor.plugin") version "3.4.0" }\n', gradlew: '' });
  const libs = join(repository.path, 'build/libs');
  await mkdir(libs, { recursive: true });
  const sizes = { 'ktor-sample-0.0.1.jar': 10, 'ktor-sample-all.jar': 90, 'ktor-sample-0.0.1-sources.jar': 99 };
  for (const [name, size] of Object.entries(sizes)) await writeFile(join(libs, name), name.padEnd(size));
  const [, collect = ''] = /^RUN (mkdir -p \/out && cp .*)$/m.exec(made.dockerfile.text) ?? [];
  const { stderr } = spawnSync('sh', ['-c', collect.replaceAll('/out', 'out')], { cwd: repository.path });
  assert.equal(String(stderr), '');
  assert.match(await readFile(join(repository.path, 'out/app.jar'), 'utf8'), /^ktor-sample-all\.jar /);
});

test('a Gradle wrapper without its jar causes a warning', async () => {
  const files = { 'build.gradle': '', gradlew: '' };
  const warned = /gradle-wrapper\.jar is not in the repository/;
  assert.match((await plan(files)).warnings.join(), warned);
  assert.doesNotMatch((await plan({ ...files, 'gradle/wrapper/gradle-wrapper.jar': '' })).warnings.join(), warned);
  assert.doesNotMatch((await plan({ 'build.gradle': '' })).warnings.join(), warned);
});

test('Gradle without a wrapper causes a warning, because the Gradle of Debian is old', async () => {
  const warned = /no gradlew, .* Run `gradle wrapper`/;
  assert.match((await plan({ 'build.gradle': '' })).warnings.join(), warned);
  assert.doesNotMatch((await plan({ 'build.gradle': '', gradlew: '' })).warnings.join(), warned);
  assert.doesNotMatch((await plan({ 'pom.xml': '<project/>' })).warnings.join(), warned);
});

test('a framework is recognised by its alias in the version catalog', async () => {
  const made = await plan({
    'build.gradle.kts': 'plugins {\n  alias(libs.plugins.quarkus)\n}\n',
    'settings.gradle.kts': '',
  });
  assert.equal(made.framework, 'Quarkus');
  assert.match(made.dockerfile.text, /cp -r build\/quarkus-app/);
});

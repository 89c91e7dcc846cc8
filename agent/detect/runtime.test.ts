/** Which runtime version an app gets, shown with Node.js and, where they differ, with others. */
import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../protocol/steps.ts';
import { RUNTIME } from './detectors/node.ts';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

/** A plan for a minimal app with version files and settings. */
const node = (asked: { engines?: string; files?: Record<string, string> }, settings = {}): Promise<BuildPlan> => {
  const { engines, files } = asked;
  const manifest = {
    scripts: { start: 'node server.js' },
    ...(engines !== undefined && { engines: { node: engines } }),
  };
  return repository.plan({ 'package.json': JSON.stringify(manifest), ...files }, settings);
};
const version = ({ evidence }: BuildPlan): string => {
  const { value, from } = evidence.find(({ subject }) => subject === 'version') ?? { value: '', from: '' };
  return `${value} (${from})`;
};
const image = ({ dockerfile }: BuildPlan): string => /^FROM (\S+)$/m.exec(dockerfile.text)?.[1] ?? '';

test('an app that requests no version gets the current LTS, and the plan says so', async () => {
  const plan = await node({});
  assert.equal(version(plan), '26 (default: the current LTS)');
  assert.deepEqual([image(plan), plan.warnings], ['node:26-trixie-slim', []]);
});

test('the requested version becomes the tag of the base image', async () => {
  const plan = await node({ engines: '^24' });
  assert.equal(image(plan), 'node:24-trixie-slim');
  assert.equal(version(plan), '24 (package.json engines.node: ^24)');
});

test('a range gets the newest LTS within it', async () => {
  const ranges = { '>=18': '26', '>=20 <26': '24', '>=18 <24': '22', '18 || 20': '20', '22.x': '22', '>=27': '27' };
  for (const [range, line] of Object.entries(ranges)) {
    assert.equal(image(await node({ engines: range })), `node:${line}-trixie-slim`, range);
  }
});

test('a line that ended before Debian 13 gets the image that exists for it', async () => {
  for (const line of ['14', '16', '18', '21', '23'])
    assert.equal(image(await node({ engines: line })), `node:${line}-slim`);
  assert.equal(image(await node({ engines: '18.x' }, { baseImages: { node: 'node:24' } })), 'node:18');
  assert.equal(image(await node({ engines: '18' }, { baseImages: { node: 'mine:18-trixie' } })), 'mine:18-trixie');
});

test('a version file takes precedence over engines, and a setting over both', async () => {
  const asked = { engines: '>=18', files: { '.nvmrc': 'lts/jod\n' } };
  assert.equal(version(await node(asked)), '22 (.nvmrc: 22)');
  assert.equal(version(await node(asked, { runtimeVersion: '24' })), '24 (environment setting: 24)');
  const files = { '.nvmrc': '', '.tool-versions': 'ruby 3\nnodejs 22.1.0\n' };
  assert.equal(version(await node({ ...asked, files })), '22 (.tool-versions: 22.1.0)');
});

test('mise.toml works like .tool-versions and takes precedence over it', async () => {
  const asked = async (tools: string): Promise<string> =>
    image(await node({ files: { 'mise.toml': tools, '.tool-versions': 'nodejs 22.1.0\n' } }));
  assert.equal(await asked('[tools]\nnode = "24"\n'), 'node:24-trixie-slim');
  assert.equal(
    await asked('[env]\nnode = "20"\n[tools]\npnpm = "9"\n"node" = ["24.1", "22"]\n'),
    'node:24-trixie-slim',
  );
  assert.equal(
    await asked("[tools]\nnode = { version = '24', postinstall = 'corepack enable' }\n"),
    'node:24-trixie-slim',
  );
  assert.equal(await asked('[tools]\npython = "3.12"\n[env]\nnode = "24"\n'), 'node:22-trixie-slim');
  const jvm = { 'pom.xml': '<project/>' };
  const java = async (files: Record<string, string>): Promise<string> =>
    version(await repository.plan({ ...jvm, ...files }));
  assert.equal(await java({ '.mise.toml': '[tools]\njava = "temurin-21"\n' }), '21 (.mise.toml: >=21)');
  assert.equal(await java({ '.sdkmanrc': '# of SDKMAN\njava=17.0.12-tem\n' }), '17 (.sdkmanrc: >=17)');
});

test('the code names of nvm are known up to the current LTS', async () => {
  assert.equal(version(await node({ files: { '.nvmrc': 'lts/lithium' } })), '26 (.nvmrc: 26)');
  assert.equal(version(await node({ files: { '.nvmrc': 'lts/Krypton' } })), '24 (.nvmrc: 24)');
  assert.equal(version(await node({ files: { '.nvmrc': 'lts/*' } })), '26 (.nvmrc: lts/*)');
});

test('a version without security fixes causes a warning that names the supported ones', async () => {
  for (const old of ['20', '18', '25', '16']) {
    const { warnings } = await node({ files: { '.nvmrc': old } });
    assert.deepEqual(warnings, [
      `Node.js ${old} (.nvmrc: ${old}) no longer gets security fixes. Ask for 26 or 24 or 22.`,
    ]);
  }
  for (const line of RUNTIME.supported ?? []) assert.deepEqual((await node({ engines: line })).warnings, []);
  assert.deepEqual((await node({ engines: '27' })).warnings, [], 'newer than what we know of');
});

test('on a host that made its base images itself, a request for another version causes one warning', async () => {
  const madeHere = ['node:26-trixie-slim'];
  const plan = await node({ engines: '^20' }, { madeHere });
  assert.deepEqual(plan.warnings, [
    'package.json engines.node asks for Node.js ^20, but this host made its base images itself and has only 26.',
  ]);
  assert.equal(image(plan), 'node:26-trixie-slim');
  const made = await node({ engines: '^24' }, { madeHere });
  assert.match(made.warnings.join('\n'), /orkestr-agent base-images build node:24`\.$/);
});

test('an additional version that the host made is used', async () => {
  const plan = await node({ engines: '^24' }, { madeHere: ['node:26-trixie-slim', 'node:24-trixie-slim'] });
  assert.deepEqual([image(plan), plan.warnings], ['node:24-trixie-slim', []]);
});

test('a host with self-made images keeps using them after the default changes, and a warning names the missing one', async () => {
  const madeHere = ['node:24-trixie-slim', 'node:22-trixie-slim'];
  const plan = await node({}, { madeHere });
  assert.deepEqual([image(plan), version(plan)], ['node:24-trixie-slim', '24 (base image of this host)']);
  assert.deepEqual(plan.warnings, [
    'This host made its base images itself and has Node.js 24, but not 26. To make the missing image, run `orkestr-agent base-images build node`.',
  ]);
  assert.deepEqual((await node({ engines: '>=18' }, { madeHere })).warnings, []);
  assert.equal(image(await node({ engines: '<24' }, { madeHere })), 'node:22-trixie-slim');
});

test('a host can have another default, which is not called the current LTS', async () => {
  const plan = await node({}, { baseImages: { node: 'mirror.example/node:24-slim' } });
  assert.equal(version(plan), '24 (default of this host)');
  assert.equal(image(plan), 'mirror.example/node:24-slim');
});

test('a version line of two numbers can be too old, supported, or newer than any known one', async () => {
  const warnings = async (line: string): Promise<readonly string[]> =>
    (await repository.plan({ 'main.py': 'print(1)', '.python-version': line })).warnings.filter((text) =>
      text.includes('security'),
    );
  for (const line of ['3.13', '3.12', '3.15', '3.16']) assert.deepEqual(await warnings(line), [], line);
  assert.deepEqual(await warnings('3.9'), [
    'Python 3.9 (.python-version: 3.9) no longer gets security fixes. Ask for 3.15 or 3.14 or 3.13 or 3.12 or 3.11.',
  ]);
});

test('Java is the oldest LTS that the build accepts and its Gradle can run on', async () => {
  const wrapper = 'gradle/wrapper/gradle-wrapper.properties';
  const gradle = (version: string): string =>
    `distributionUrl=https\\://services.gradle.org/distributions/gradle-${version}-bin.zip\n`;
  const plugin = "plugins { id 'org.springframework.boot' version '3.5.0' }\n";
  const lines: readonly [files: Record<string, string>, line: string][] = [
    [{ 'build.gradle': plugin }, '25'],
    [{ 'build.gradle': plugin, [wrapper]: gradle('9.1.0') }, '25'],
    [{ 'build.gradle': plugin, [wrapper]: gradle('8.14.3') }, '21'],
    [{ 'build.gradle': plugin, [wrapper]: gradle('7.6') }, '17'],
    [{ 'build.gradle': `${plugin}sourceCompatibility = '17'\n`, [wrapper]: gradle('9.1.0') }, '17'],
    [{ 'build.gradle': `${plugin}sourceCompatibility = '18'\n` }, '21'],
  ];
  for (const [files, line] of lines) {
    const { dockerfile, warnings } = await repository.plan(files);
    assert.match(
      dockerfile.text,
      new RegExp(`^FROM eclipse-temurin:${line}-jdk AS build$`, 'm'),
      JSON.stringify(files),
    );
    assert.deepEqual(
      warnings.filter((text) => text.includes('security')),
      [],
    );
  }
});

test('a version that ended before Debian 13 has an image without trixie in its tag', async () => {
  const php = { 'index.php': '' };
  const lines: readonly [files: Record<string, string>, image: string][] = [
    [{ 'main.py': '', '.python-version': '3.8' }, 'python:3.8-slim'],
    [{ 'main.py': '', '.python-version': '3.9' }, 'python:3.9-slim-trixie'],
    [{ ...php, '.php-version': '8.0' }, 'php:8.0-apache'],
    [{ ...php, '.php-version': '8.1' }, 'php:8.1-apache-trixie'],
    [{ Gemfile: '', 'app.rb': '', '.ruby-version': '3.1' }, 'ruby:3.1-slim'],
    [{ Gemfile: '', 'app.rb': '', '.ruby-version': '3.2' }, 'ruby:3.2-slim-trixie'],
  ];
  for (const [files, image] of lines) {
    const { dockerfile } = await repository.plan(files);
    assert.match(dockerfile.text, new RegExp(`^FROM ${image}$`, 'm'));
  }
});

test('Ruby has exactly the requested patch version, because bundler accepts no other', async () => {
  const ruby = (said: string, settings = {}): Promise<BuildPlan> =>
    repository.plan({ Gemfile: `ruby "${said}"\ngem "sinatra"\n`, 'app.rb': '' }, settings);
  assert.equal(image(await ruby('3.2.2')), 'ruby:3.2.2-slim');
  assert.equal(image(await ruby('3.3.1')), 'ruby:3.3.1-slim');
  assert.equal(image(await ruby('~> 3.3.0')), 'ruby:3.3-slim-trixie');
  const file = await repository.plan({ Gemfile: '', 'app.rb': '', '.ruby-version': 'ruby-3.4.2\n' });
  assert.equal(image(file), 'ruby:3.4.2-slim');
  const here = await ruby('3.3.1', { madeHere: ['ruby:3.3-slim-trixie'] });
  assert.equal(image(here), 'ruby:3.3-slim-trixie');
  assert.match(here.warnings.join('\n'), /bundler refuses any other.*Ask for "~> 3\.3\.0"\./);
});

test('comments in a version file are ignored', async () => {
  for (const text of ['# ours\n22\n', '\n  # a\n#b\n v22.1.0 # c\n', '# ours\nlts/jod\n']) {
    assert.equal(image(await node({ files: { '.nvmrc': text } })), 'node:22-trixie-slim', text);
  }
  assert.match(version(await node({ files: { '.nvmrc': '# nothing\n' } })), /^26 \(default/);
});

test('devEngines sets the version if engines does not', async () => {
  const manifest = (engines: object): string =>
    JSON.stringify({
      engines,
      devEngines: { runtime: [{ name: 'node', version: '^22' }] },
      scripts: { start: 'node x' },
    });
  assert.equal(
    version(await repository.plan({ 'package.json': manifest({}) })),
    '22 (package.json devEngines.runtime: ^22)',
  );
  assert.equal(
    version(await repository.plan({ 'package.json': manifest({ node: '24' }) })),
    '24 (package.json engines.node: 24)',
  );
});

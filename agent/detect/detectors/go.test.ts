import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);

const dockerfileOf = async (mod: string, files: Record<string, string> = {}): Promise<string> =>
  (await repository.plan({ 'go.mod': `module x\n\ngo 1.26\n${mod}`, 'main.go': 'package main', ...files })).dockerfile
    .text;

test('the image of a Go program contains the certificates of the build stage', async () => {
  const [, run = ''] = (await dockerfileOf('')).split(/^FROM debian/m);
  assert.match(
    run,
    /^COPY --from=build \/etc\/ssl\/certs\/ca-certificates\.crt \/etc\/ssl\/certs\/ca-certificates\.crt$/m,
  );
});

test('a module that uses cgo is built with a compiler, all others without', async () => {
  assert.match(await dockerfileOf('require github.com/gorilla/mux v1.8.1\n'), /CGO_ENABLED=0/);
  for (const mod of [
    'require github.com/mattn/go-sqlite3 v1.14.22\n',
    'require (\n\tgorm.io/gorm v1.25.0\n\tgithub.com/mattn/go-sqlite3 v1.14.22 // indirect\n)\n',
    'require github.com/confluentinc/confluent-kafka-go/v2 v2.5.0\n',
  ]) {
    const text = await dockerfileOf(mod);
    assert.match(text, /CGO_ENABLED=1/, mod);
    assert.match(text, /install -y --no-install-recommends g\+\+ libc6-dev &&[^]*go build/, mod);
  }
  // Not one of these modules, despite the prefix.
  assert.match(await dockerfileOf('require github.com/mattn/go-sqlite3-fork v1.0.0\n'), /CGO_ENABLED=0/);
});

test('the C library of a module is installed for both the build and the app', async () => {
  const [build = '', run = ''] = (await dockerfileOf('require github.com/h2non/bimg v1.1.9\n')).split(/^FROM debian/m);
  assert.match(build, /libvips-dev/);
  assert.match(run, /libvips42 /);
});

test('.tool-versions sets the version of Go', async () => {
  const text = await dockerfileOf('', { '.tool-versions': 'golang 1.26.2\n' });
  assert.match(text, /^FROM golang:1\.26-trixie/m);
  assert.match(
    await dockerfileOf('', { '.tool-versions': 'nodejs 24\ngolang 1.22.4\n' }),
    /^FROM golang:1\.22 AS build$/m,
  );
});

describe('a go.work', () => {
  const WORKSPACE = {
    'go.work': 'go 1.26\n\nuse (\n\t./services/api // the server\n\t"./lib"\n)\n\nuse ./tools/lint\n',
    'go.work.sum': '',
    'lib/go.mod': 'module x/lib\n\ngo 1.24\n\nrequire github.com/mattn/go-sqlite3 v1.14.22\n',
    'lib/go.sum': '',
    'lib/lib.go': 'package lib',
    'services/api/go.mod': 'module x/api\n\ngo 1.24\n\nrequire x/lib v0.0.0\n\nreplace x/lib => ../../lib\n',
    'services/api/main.go': 'package main',
    'tools/lint/go.mod': 'module x/lint\n',
    'tools/lint/main.go': 'package main',
  };

  test('with one app is built with all modules, and the app runs in its folder', async () => {
    const plan = await repository.plan(WORKSPACE);
    assert.equal(plan.rootDirectory, '.');
    assert.match(plan.warnings[0] ?? '', /^orkestr uses services\/api as the root directory: /);
    const manifests = [
      'COPY go.work go.work.sum ./',
      'COPY services/api/go.mod services/api/',
      'COPY lib/go.mod lib/go.sum lib/',
      'COPY tools/lint/go.mod tools/lint/',
    ];
    const { text } = plan.dockerfile;
    assert.ok(text.includes(`${manifests.join('\n')}\nRUN --mount`), text);
    assert.match(text, /go mod download\nCOPY \. \.\nWORKDIR \/src\/services\/api\nRUN .* go build .* \.\n/);
    assert.match(text, /CGO_ENABLED=1/, 'a module beside it is C beneath');
    assert.match(text, /\nWORKDIR \/app\/services\/api\nUSER/);
    assert.deepEqual(
      plan.evidence.filter(({ subject }) => subject === 'version').map(({ from }) => from),
      ['go.work: >=1.26'],
    );
  });

  test('gives the same plan for the root directory of a module, and leaves a folder outside it on its own', async () => {
    const { dockerfile, rootDirectory } = await repository.plan(WORKSPACE, { rootDirectory: 'services/api' });
    assert.equal(rootDirectory, '.');
    assert.match(dockerfile.text, /WORKDIR \/src\/services\/api/);
    const alone = { 'other/go.mod': 'module y\n', 'other/main.go': 'package main' };
    const other = await repository.plan({ ...WORKSPACE, ...alone }, { rootDirectory: 'other' });
    assert.equal(other.rootDirectory, 'other');
    assert.doesNotMatch(other.dockerfile.text, /go\.work/);
  });

  test('with a module at its root is built there', async () => {
    const files = { 'go.work': 'go 1.26\nuse .\nuse ./lib\n', 'lib/go.mod': 'module x/lib\n' };
    const text = await dockerfileOf('require github.com/gorilla/mux v1.8.1\n', files);
    assert.match(text, /COPY go\.work go\.mod \.\/\nCOPY lib\/go\.mod lib\/\n/);
    assert.doesNotMatch(text, /WORKDIR \/src\/|WORKDIR \/app\//);
  });

  test('with several apps causes an error that names them', async () => {
    const web = { 'services/web/go.mod': 'module x/web\n', 'services/web/main.go': 'package main' };
    const work = `${WORKSPACE['go.work']}use ./services/web\n`;
    await assert.rejects(repository.plan({ ...WORKSPACE, ...web, 'go.work': work }), {
      code: 'ORK_NOTHING_DETECTED',
      message: /Folders below contain apps: services\/api \(Go\), services\/web \(Go\)\. Set rootDirectory/,
    });
  });

  test('downloads modules after the sources are copied if one is in a folder that the workspace does not use', async () => {
    const mod = 'module x/api\n\nrequire y v0.0.0\n\nreplace y => ../../vendored/y\n';
    const { dockerfile } = await repository.plan({ ...WORKSPACE, 'services/api/go.mod': mod });
    assert.doesNotMatch(dockerfile.text, /go mod download|COPY go\.work/);
  });
});

describe('detector go', () => {
  const mod = 'module example.com/shop/v2\n\ngo 1.19\n';

  test('builds the main package in the root', async () => {
    const made = await plan({ 'go.mod': mod, 'main.go': '// licence\npackage main' });
    assert.match(made.buildCommand ?? '', / \.$/);
    assert.doesNotMatch(made.dockerfile.text, /go mod download/);
  });

  test('builds the program in cmd/ that is named like the module, with a warning about the others', async () => {
    const made = await plan({
      'go.mod': `${mod}require example.com/x v1.0.0\n`,
      'go.sum': '',
      'lib.go': 'package shop',
      'cmd/migrate/main.go': 'package main',
      'cmd/shop/main.go': 'package main',
    });
    assert.match(made.buildCommand ?? '', / \.\/cmd\/shop$/);
    assert.match(made.warnings.join(), /\.\/cmd\/migrate/);
    assert.match(made.dockerfile.text, /COPY go\.mod go\.sum \.\/\nRUN \S+ go mod download/);
  });

  test('does not download modules before the sources are copied if one is in a folder of the repository', async () => {
    const replaced = `${mod}require example.com/x v1.0.0\nreplace example.com/x => ./x\n`;
    const made = await plan({ 'go.mod': replaced, 'main.go': 'package main', 'x/go.mod': 'module example.com/x\n' });
    assert.doesNotMatch(made.dockerfile.text, /go mod download/);
  });

  test('does not count tests and ignored files as a main package', async () => {
    const files = { 'go.mod': mod, 'x_test.go': 'package main', 'gen.go': '//go:build ignore\n\npackage main' };
    assert.match((await repository.refusal(files)).message, /no main package/);
  });

  test('uses the required Go version as the image tag, or warns if the host has only an older one', async () => {
    const files = { 'go.mod': 'module x\n\ngo 1.22.1\n', 'main.go': 'package main' };
    const old = 'golang:1.19-bookworm';
    const made = await plan(files, { baseImages: { go: old }, madeHere: [old] });
    assert.match(made.warnings.join(' '), /asks for Go >=1\.22\.1.*Go 1\.19 cannot read this go\.mod/);
    assert.match(
      (await plan(files, { baseImages: { go: old } })).dockerfile.text,
      /^FROM golang:1\.22-bookworm AS build$/m,
    );
    // Newer Go versions build older modules.
    assert.match((await plan(files)).dockerfile.text, /^FROM golang:1\.27-trixie AS build$/m);
  });
});

import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const dockerfileOf = async (mod: string, files: Record<string, string> = {}): Promise<string> =>
  (await repository.plan({ 'go.mod': `module x\n\ngo 1.26\n${mod}`, 'main.go': 'package main', ...files })).dockerfile
    .text;

test('a program in Go trusts the certificates that it was built with', async () => {
  const [, run = ''] = (await dockerfileOf('')).split(/^FROM debian/m);
  assert.match(
    run,
    /^COPY --from=build \/etc\/ssl\/certs\/ca-certificates\.crt \/etc\/ssl\/certs\/ca-certificates\.crt$/m,
  );
});

test('a module that is C beneath is built with a compiler, all others without', async () => {
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
  // What only looks like one of them.
  assert.match(await dockerfileOf('require github.com/mattn/go-sqlite3-fork v1.0.0\n'), /CGO_ENABLED=0/);
});

test('the library of a module in C is there when it is built, and when it runs', async () => {
  const [build = '', run = ''] = (await dockerfileOf('require github.com/h2non/bimg v1.1.9\n')).split(/^FROM debian/m);
  assert.match(build, /libvips-dev/);
  assert.match(run, /libvips42 /);
});

test('.tool-versions names the version of Go', async () => {
  const text = await dockerfileOf('', { '.tool-versions': 'golang 1.26.2\n' });
  assert.match(text, /^FROM golang:1\.27-trixie|^FROM golang:1\.26-trixie/m);
  assert.match(
    await dockerfileOf('', { '.tool-versions': 'nodejs 24\ngolang 1.22.4\n' }),
    /^FROM golang:1\.22 AS build$/m,
  );
});

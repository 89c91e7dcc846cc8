import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

const cargo = (name: string, dependency = ''): string =>
  `[package]\nname = "${name}"\nversion = "1.0.0"\n[dependencies]\n${dependency}\n`;
const plan = (files: Record<string, string>): Promise<BuildPlan> => repository.plan(files);
const app = (files: Record<string, string> = {}, dependency = ''): Promise<BuildPlan> =>
  plan({ 'Cargo.toml': cargo('web', dependency), 'src/main.rs': '', ...files });

test('the image of a Rust program contains the certificates of the build stage', async () => {
  const [, run = ''] = (await app()).dockerfile.text.split(/^FROM debian/m);
  assert.match(run, /^COPY --from=build \/etc\/ssl\/certs\/ca-certificates\.crt /m);
});

test("all sources get a time newer than cargo's earlier results, whatever the time of their commit", async () => {
  const { text } = (await app()).dockerfile;
  assert.match(text, /^RUN .*target=\/src\/target find \. -path \.\/target -prune .* touch \{\} \+ && cargo build /m);
});

test('crates with native code get the packages that they need to build and to run', async () => {
  const lock = (...crates: string[]): string => crates.map((crate) => `[[package]]\nname = "${crate}"\n`).join('\n');
  const apt = async (...crates: string[]): Promise<string[]> => {
    const { dockerfile } = await app({ 'Cargo.lock': lock('web', ...crates) });
    return [...dockerfile.text.matchAll(/ --no-install-recommends (.*) && rm /g)].map(([, packages = '']) => packages);
  };
  assert.deepEqual(await apt('tokio', 'ring'), []);
  assert.deepEqual(await apt('prost-build', 'tikv-jemalloc-sys'), ['libprotobuf-dev protobuf-compiler make']);
  assert.deepEqual(await apt('pq-sys'), ['libpq-dev', 'libpq5']);
  const vendored = ['pkg-config libssl-dev make perl', 'ca-certificates libssl3'];
  assert.deepEqual(await apt('openssl-sys', 'openssl-src'), vendored);
});

test('programs in src/bin are binaries, too, and src/main.rs takes precedence', async () => {
  const files = { 'Cargo.toml': cargo('shop'), 'src/lib.rs': '', 'src/bin/serve.rs': '' };
  assert.match((await plan(files)).buildCommand ?? '', /--bin serve$/);
  assert.match((await plan({ ...files, 'src/main.rs': '' })).buildCommand ?? '', /--bin shop$/);
});

test('in a workspace the program with a web framework is chosen', async () => {
  const made = await plan({
    'Cargo.toml': '[workspace]\nmembers = ["a", "z"]\n',
    'a/Cargo.toml': cargo('migrate'),
    'a/src/main.rs': '',
    'z/Cargo.toml': cargo('server', 'axum = "0.8"'),
    'z/src/main.rs': '',
  });
  assert.match(made.buildCommand ?? '', /--bin server$/);
  assert.equal(made.framework, 'Axum');
  assert.match(made.warnings.join(), /builds server, not migrate/);
});

test('a workspace member chosen as the root directory is built with the shared lockfile and runs in its folder', async () => {
  const files = {
    'Cargo.toml': '[workspace]\nmembers = ["crates/*"]\n',
    'Cargo.lock': '',
    'rust-toolchain': '1.90.0\n',
    'crates/web/Cargo.toml': cargo('web', 'axum = { workspace = true }'),
    'crates/web/src/main.rs': '',
    'crates/jobs/Cargo.toml': cargo('jobs'),
    'crates/jobs/src/main.rs': '',
    'other/Cargo.toml': cargo('other'),
    'other/src/main.rs': '',
  };
  const made = await repository.plan(files, { rootDirectory: 'crates/jobs' });
  assert.equal(made.rootDirectory, '.');
  assert.equal(made.buildCommand, 'cargo build --release --locked --package jobs --bin jobs');
  assert.match(made.dockerfile.text, /^FROM rust:1\.90-slim-trixie AS build$/m);
  assert.match(made.dockerfile.text, /\nWORKDIR \/app\/crates\/jobs\nUSER/);
  assert.deepEqual(made.warnings, []);
  assert.equal((await repository.plan(files, { rootDirectory: 'other' })).rootDirectory, 'other');
});

test('Rocket is configured to listen on all addresses and on PORT', async () => {
  const made = await app({}, 'rocket = "0.5"');
  assert.match(made.dockerfile.text, /CMD \["sh","-c","exec env ROCKET_ADDRESS=0\.0\.0\.0 ROCKET_PORT=\$PORT /);
});

test('a channel is shown as the version, and a channel other than stable causes a warning', async () => {
  const version = ({ evidence }: BuildPlan): string =>
    evidence.find(({ subject }) => subject === 'version')?.from ?? '';
  const stable = await app({ 'rust-toolchain.toml': '[toolchain]\nchannel = "stable"\n', 'Cargo.lock': '' });
  assert.deepEqual([version(stable), stable.warnings], ['rust-toolchain.toml: stable', []]);
  const nightly = await app({ 'rust-toolchain': 'nightly-2026-01-31\n', 'Cargo.lock': '' });
  assert.match(nightly.dockerfile.text, /^FROM rust:1\.96-slim-trixie AS build$/m);
  assert.match(nightly.warnings.join(), /^Each build downloads the toolchain of rust-toolchain: nightly-2026-01-31, /);
});

test('a version from before Debian 13 has an image without trixie in its tag', async () => {
  const made = await app({ 'rust-toolchain.toml': '[toolchain]\nchannel = "1.80.1"\n' });
  assert.match(made.dockerfile.text, /^FROM rust:1\.80-slim AS build$/m);
});

/** A real release of these sources, made a second time; its contents are unpacked and run where there is no Node. */
import assert from 'node:assert/strict';
import { createHash, createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { arch, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { z } from 'zod';
import { BaseImages } from '../../agent/detect/base-images.ts';
import {
  archiveName,
  INSTALLER_FILE,
  MANIFEST_FILE,
  ORIGIN_FILE,
  ReleaseManifest,
  ReleaseTarget,
  SIGNATURE_FILE,
  SUMS_FILE,
} from '../../protocol/release.ts';
import { makeWithKeysOf, testRelease } from '../../test/harness/release.ts';
import { mustRun, runProgram } from '../stack/run-program.ts';
import { ARCHIVE_MB } from './aims.ts';
import { readReleaseKey } from './signature.ts';

const target = ReleaseTarget.parse(`linux-${arch()}`);
const LABEL = 'orkestr.release-test';

/** CycloneDX 1.6, as far as it is used. */
const Bill = z.object({
  bomFormat: z.literal('CycloneDX'),
  specVersion: z.literal('1.6'),
  components: z.array(
    z.object({
      type: z.enum(['library', 'platform']),
      'bom-ref': z.string(),
      name: z.string(),
      version: z.string().regex(/^\d/),
      purl: z.string().startsWith('pkg:'),
      cpe: z.string().optional(),
      licenses: z.array(z.unknown()).optional(),
      hashes: z.array(z.object({ content: z.string() })).optional(),
    }),
  ),
  dependencies: z.array(z.object({ ref: z.string(), dependsOn: z.array(z.string()) })),
});

describe('a release', () => {
  let folder: string;
  let release: Awaited<ReturnType<typeof testRelease>>;
  let made: ReleaseManifest;
  let archive: string;
  /** Folder of what is in its archive. */
  let unpacked: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'ork-release-test-'));
    release = await testRelease(folder);
    made = ReleaseManifest.parse(JSON.parse(readFileSync(join(release.folder, MANIFEST_FILE), 'utf8')));
    archive = archiveName(made.version, target);
    await mustRun('tar', ['tar', '--extract', '--file', join(release.folder, archive), '--directory', folder]);
    unpacked = join(folder, archive.replace('.tar.xz', ''));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('is the same bytes when it is made again', async () => {
    assert.deepEqual(await makeWithKeysOf(release, join(folder, 'again')), made);
    const names = readdirSync(release.folder);
    assert.deepEqual(names.toSorted(), [...made.files.map(({ name }) => name), 'release.json'].toSorted());
  });

  test('is signed: the signature is right for its list of sums and for no other', async () => {
    const key = createPublicKey({ key: Buffer.from(made.publicKey, 'base64'), format: 'der', type: 'spki' });
    const sums = readFileSync(join(release.folder, SUMS_FILE));
    const signature = readFileSync(join(release.folder, SIGNATURE_FILE));
    assert.ok(verify(null, sums, key, signature));
    assert.ok(!verify(null, Buffer.from(sums.toString().replace('0', '1')), key, signature));
    await mustRun('sha256sum', ['sha256sum', '--check', '--strict', SUMS_FILE], { cwd: release.folder });
  });

  test('may name the key of the releases after it, and is checked by its own', () => {
    const { publicKey } = made;
    const origin = JSON.parse(readFileSync(join(unpacked, ORIGIN_FILE), 'utf8'));
    assert.equal(origin.publicKey, readReleaseKey(release.nextKeyFile).publicKey);
    assert.match(
      readFileSync(join(release.folder, INSTALLER_FILE), 'utf8'),
      new RegExp(`RELEASE_KEY='${RegExp.escape(publicKey)}'`),
    );
  });

  test('is not larger than what was aimed at', () => {
    const { size } = statSync(join(release.folder, archive));
    assert.ok(size < ARCHIVE_MB * 1e6, `${size} bytes`);
  });

  describe('its list of components', () => {
    let bill: z.infer<typeof Bill>;
    before(() => {
      const file = readFileSync(join(release.folder, archive.replace('.tar.xz', '.cdx.json')), 'utf8');
      assert.equal(readFileSync(join(unpacked, 'sbom.cdx.json'), 'utf8'), file);
      bill = Bill.parse(JSON.parse(file));
    });
    const named = (name: string, version?: string): z.infer<typeof Bill>['components'][number] | undefined =>
      bill.components.find((one) => one.name === name && (version === undefined || one.version === version));

    test('is CycloneDX, and has for each package version, purl, licence and hash', () => {
      assert.equal(new Set(bill.components.map((one) => one['bom-ref'])).size, bill.components.length);
      for (const name of ['fastify', 'http-proxy', 'preact', 'better-sqlite3', '@fastify/static', `node-${target}`]) {
        const { version, purl, licenses, hashes } = named(name) ?? assert.fail(name);
        assert.equal(purl, `pkg:npm/${name.replace('@', '%40')}@${version}`);
        assert.equal(licenses?.length, 1, name);
        assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/, name);
      }
      assert.ok(!named('ssh2') && !named('typescript'), 'only what is really in it');
    });

    test('names the libraries compiled into Node and into the addon as vulnerabilities name them', () => {
      const { openssl, zlib, uv, undici } = process.versions;
      const database = new Sqlite(':memory:');
      const sqlite = String(database.prepare('SELECT sqlite_version()').pluck().get());
      database.close();
      const cpe = (name: string, version: string): string | undefined => named(name, version)?.cpe;
      assert.equal(cpe('openssl', openssl), `cpe:2.3:a:openssl:openssl:${openssl}:*:*:*:*:*:*:*`);
      assert.equal(cpe('libuv', uv), `cpe:2.3:a:libuv:libuv:${uv}:*:*:*:*:*:*:*`);
      assert.equal(cpe('zlib', zlib), `cpe:2.3:a:zlib:zlib:${zlib.replace(/-.*/, '')}:*:*:*:*:*:*:*`);
      assert.equal(cpe('sqlite', sqlite), `cpe:2.3:a:sqlite:sqlite:${sqlite}:*:*:*:*:*:*:*`);
      assert.equal(named('undici', undici)?.purl, `pkg:npm/undici@${undici}`);
      const node = process.versions.node;
      assert.equal(cpe(`node-${target}`, node), `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:*:*:*:*`);
      const inside = (name: string): readonly string[] | undefined =>
        bill.dependencies.find(({ ref }) => ref === named(name)?.['bom-ref'])?.dependsOn;
      const addon = named('better-sqlite3')?.['bom-ref'];
      assert.ok(bill.components.some((one) => one['bom-ref'] === `${addon}#sqlite@${sqlite}`));
      assert.deepEqual(inside('better-sqlite3'), [`${addon}#sqlite@${sqlite}`]);
      assert.ok(inside(`node-${target}`)?.includes(named('openssl')?.['bom-ref'] ?? ''));
    });

    test('comes with the licence of each', () => {
      const book = readFileSync(join(unpacked, 'THIRD-PARTY-LICENSES'), 'utf8').split('\n');
      for (const { name, version } of bill.components) {
        assert.ok(
          book.some((line) => line.startsWith(`${name} ${version} (`)),
          `${name} ${version}`,
        );
      }
      for (const words of ['The MIT License', 'Apache License', 'SQLite is in the public domain']) {
        assert.ok(
          book.some((line) => line.includes(words)),
          words,
        );
      }
    });
  });

  describe('on a host without Node, npm or compiler', () => {
    let container: string;
    const inside = (...argv: string[]): ReturnType<typeof runProgram> =>
      runProgram(['docker', 'exec', container, ...argv]);

    before(async () => {
      const programs = `--volume=${unpacked}:/opt/orkestr:ro`;
      const run = ['docker', 'run', '--detach', `--label=${LABEL}`, '--network=none', programs] as const;
      const started = await mustRun('docker run', [...run, BaseImages.parse({}).debian, 'sleep', '600']);
      container = started.trim();
    });
    after(() => mustRun('docker rm', ['docker', 'rm', '--force', '--volumes', container]));

    test('its programs say their version and their help', async () => {
      assert.notEqual((await inside('sh', '-c', 'command -v node npm gcc')).code, 0);
      for (const name of ['orkestr', 'orkestr-agent', 'orkestr-hub', 'orkestr-proxy']) {
        const { code, stdout, stderr } = await inside(`/opt/orkestr/bin/${name}`, '--version');
        assert.equal(code, 0, stderr);
        assert.equal(stdout.trim(), made.version, name);
        assert.match((await inside(`/opt/orkestr/bin/${name}`, '--help')).stdout, /Usage: orkestr/);
      }
    });

    test('its hub serves API, console and the pages that messages name', async () => {
      const exec = ['docker', 'exec', '--detach', '--env=ORKESTR_HUB_STATE=/tmp/hub', container] as const;
      await mustRun('docker exec', [...exec, '/opt/orkestr/bin/orkestr-hub', 'serve']);
      const fetched = async (path: string): Promise<string> => {
        const code = `fetch('http://127.0.0.1:7700${path}').then((r) => r.text()).then(console.log, () => process.exit(1))`;
        return (await inside('/opt/orkestr/bin/node', '-e', code)).stdout.trim();
      };
      for (let tries = 0; tries < 100 && (await fetched('/readyz')) === ''; tries += 1) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.equal(await fetched('/readyz'), '{"status":"ok"}');
      assert.match(await fetched('/'), /<script type="module"/);
      assert.match(await fetched('/docs/notifications.md'), /^# /);
    });

    test('the CLI that its hub hands on needs nothing beside it, and an old Node.js is told', async () => {
      const save = `fetch('http://127.0.0.1:7700/cli').then((r) => r.text()).then((text) => fs.writeFileSync('/tmp/orkestr', text))`;
      const node = '/opt/orkestr/bin/node';
      await inside(node, '-e', save);
      const { code, stdout, stderr } = await inside(node, '/tmp/orkestr', '--version');
      assert.equal(code, 0, stderr);
      assert.equal(stdout.trim(), made.version);
      assert.match((await inside('head', '-1', '/tmp/orkestr')).stdout, /^#!\/usr\/bin\/env node$/m);
      await inside(
        'sh',
        '-c',
        "echo \"Object.defineProperty(process.versions, 'node', { value: '20.1.0' })\" >/tmp/old.js",
      );
      const old = await inside(node, '--require=/tmp/old.js', '/tmp/orkestr', '--version');
      assert.equal(old.code, 1);
      assert.match(old.stderr, /^orkestr needs Node\.js 22/);
    });

    test('its agent says how the host is, also where nothing runs', async () => {
      const { stdout } = await inside('/opt/orkestr/bin/orkestr-agent', 'status', '--json');
      assert.equal(JSON.parse(stdout).level, 'down');
    });
  });

  test('its installer is one file that shellcheck finds nothing in', async () => {
    const script = join(release.folder, INSTALLER_FILE);
    const { code, stdout } = await runProgram(['shellcheck', '--shell=sh', script]);
    assert.equal(code, 0, stdout);
    const text = readFileSync(script, 'utf8');
    assert.ok(text.includes(`RELEASE_KEY='${made.publicKey}'`));
    assert.ok(text.trimEnd().endsWith('main "$@"'), 'nothing runs before the last line is there');
  });

  test('beside the archives its installer carries the sum of the list of sums, for hosts that check no signature', () => {
    const sum = createHash('sha256')
      .update(readFileSync(join(release.folder, SUMS_FILE)))
      .digest('hex');
    const text = readFileSync(join(release.folder, INSTALLER_FILE), 'utf8');
    assert.ok(text.includes(`\nRELEASE_SUMS_SHA256='${sum}'\n`));
    assert.equal(readFileSync(join(unpacked, INSTALLER_FILE), 'utf8'), text.replace(sum, ''));
  });
});

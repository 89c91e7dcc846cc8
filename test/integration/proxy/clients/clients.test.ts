/** Programs that people use, kept running while the app behind the proxy is flipped again and again. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Agent, request } from 'undici';
import { Payload } from '../../../bench/cutover/app/payload.ts';
import { Browser } from './browser.ts';
import { ClientLab, HOST, runClient } from './lab.ts';
import { makeRepository } from './repository.ts';

/** Debian's own Python, which has Debian's packages. */
const PYTHON = '/usr/bin/python3';
/** How often a client works if it keeps meeting only one version. */
const MOST_TURNS = 20;
const BIG = 2 * 1024 * 1024;
const payload = new Payload();
type Scheme = 'http' | 'https';

describe('during continuous flips of the app', { concurrency: true }, () => {
  let lab: ClientLab;
  let commit: string;
  before(async () => {
    lab = await ClientLab.start();
    commit = await makeRepository(lab.folder);
    await lab.flip();
  });
  after(() => lab.stop());

  for (const [scheme, protocol] of [
    ['http', '1.1'],
    ['https', '1.1'],
    ['https', '2'],
  ] as const) {
    const curl = (...args: string[]) => runCurl(lab, scheme, protocol, args);
    const marks = ['--write-out', ' %{http_version} %{http_code} %header{x-version}\\n'];
    const answered = new RegExp(`(\\S*) ${protocol.replace(/\.?0?$/, '')} 200 (\\d+)\n`, 'g');

    test(`curl sends requests in sequence over ${scheme} with HTTP/${protocol}`, async () => {
      const url = lab.url(scheme, '/fixed/1024?[1-60]');
      await untilSeveral(async () => {
        const { stdout, stderr } = await curl('--rate', '50/s', '--output', '/dev/null', ...marks, url);
        const answers = [...stdout.matchAll(answered)];
        assert.deepEqual([answers.length, stderr], [60, ''], stdout);
        return answers.map(([, , version]) => version);
      });
    });

    test(`curl reads slowly over ${scheme} with HTTP/${protocol}`, async () => {
      const file = join(lab.folder, `read-${scheme}-${protocol}`);
      const { stderr } = await curl('--limit-rate', '500K', '--output', file, lab.url(scheme, `/fixed/${BIG}`));
      assert.equal(stderr, '');
      assert.equal(createHash('sha256').update(readFileSync(file)).digest('hex'), payload.hash(BIG));
    });

    test(`curl posts 2 MiB over ${scheme} with HTTP/${protocol}, with an expectation, in chunks and slowly`, async () => {
      const file = join(lab.folder, `sent-${scheme}-${protocol}`);
      writeFileSync(file, payload.slice(BIG));
      const ways = [
        // For bodies over 1 MiB curl sends Expect: 100-continue.
        ['--data-binary', `@${file}`],
        ['--data-binary', `@${file}`, '--header', 'Transfer-Encoding: chunked'],
        ['--data-binary', `@${file}`, '--limit-rate', '3M'],
      ];
      const url = lab.url(scheme, '/hash');
      await untilSeveral(async () => {
        const posts = await Promise.all(ways.map((way) => curl(...way, ...marks, url)));
        const answers = posts.flatMap(({ stdout }) => [...stdout.matchAll(answered)]);
        const hashes = answers.map(([, hash]) => hash);
        assert.deepEqual(hashes, Array(3).fill(payload.hash(BIG)), posts.map(({ stderr }) => stderr).join());
        return answers.map(([, , version]) => version);
      });
    });
  }

  for (const scheme of ['http', 'https'] as const) {
    test(`wget downloads a list of files over ${scheme}`, async () => {
      const list = join(lab.folder, `list-${scheme}`);
      const urls = Array.from({ length: 30 }, (_, n) => lab.url(scheme, `/parts/20000/4/8?${n}`, 'localhost'));
      writeFileSync(list, urls.join('\n'));
      const file = join(lab.folder, `wget-${scheme}`);
      const options = ['--no-config', '-4', '--tries=1', '--server-response', '--output-document', file];
      const tls = scheme === 'https' ? ['--ca-certificate', lab.edge.certificate.file] : [];
      await untilSeveral(async () => {
        const { code, stderr } = await runClient(['wget', ...options, ...tls, '--input-file', list]);
        assert.equal(code, 0, stderr);
        assert.ok(readFileSync(file).equals(Buffer.concat(urls.map(() => payload.slice(20_000)))));
        return [...stderr.matchAll(/^ *x-version: (\d+)$/gim)].map(([, version]) => version);
      });
    });

    test(`python3-websockets talks over ${scheme}, gets a Close frame with 1001 and reconnects`, async () => {
      const script = fileURLToPath(new URL('websocket_client.py', import.meta.url));
      const url = lab.url(scheme, '/socket').replace('http', 'ws');
      const { code, stdout, stderr } = await runClient([PYTHON, script, url, lab.edge.certificate.file, '2']);
      assert.equal(code, 0, stderr);
      const seen = JSON.parse(stdout) as { versions: string[]; codes: number[]; echoes: number };
      assert.deepEqual(seen.codes, [1001]);
      assert.ok(seen.echoes > 0);
      severalOf(seen.versions);
    });

    test(`git clones over ${scheme}`, async () => {
      const where = ['-c', `http.curloptResolve=${HOST}:${lab.port(scheme)}:127.0.0.1`];
      const url = lab.url(scheme, '/repository.git');
      const trace = { GIT_TRACE_CURL: '1', GIT_TRACE_CURL_NO_DATA: '1' };
      const env = { ...trace, GIT_CONFIG_GLOBAL: '/dev/null', GIT_SSL_CAINFO: lab.edge.certificate.file };
      await untilSeveral(async (turn) => {
        const into = join(lab.folder, `clone-${scheme}-${turn}`);
        const { code, stderr } = await runClient(['git', ...where, 'clone', '--quiet', url, into], env);
        assert.equal(code, 0, stderr.slice(-2000));
        const head = await runClient(['git', '-C', into, 'rev-parse', 'HEAD']);
        assert.equal(head.stdout.trim(), commit);
        assert.equal((await runClient(['git', '-C', into, 'fsck', '--full', '--strict'])).code, 0);
        return [...stderr.matchAll(/x-version: (\d+)/gi)].map(([, version]) => version);
      });
    });
  }

  test('undici sends requests in a pipeline, over TLS and with HTTP/2', async () => {
    const tls = { ca: lab.edge.certificate.pem, servername: HOST };
    await Promise.all([
      askByUndici(lab, 'http', new Agent({ connections: 2, pipelining: 4 })),
      askByUndici(lab, 'https', new Agent({ connections: 2, connect: tls })),
      askByUndici(lab, 'https', new Agent({ connections: 1, allowH2: true, connect: tls })),
    ]);
  });

  test('Chromium loads pages, fetches, receives events and talks over a WebSocket', async () => {
    const browser = await Browser.start();
    try {
      for (const seen of await Promise.all(
        (['http', 'https'] as const).map((scheme) => browser.visit(lab.url(scheme, '/page'))),
      )) {
        assert.deepEqual(seen.faults, []);
        for (const versions of [seen.pages, seen.fetch, seen.events, seen.socket]) severalOf(versions);
        assert.deepEqual(new Set(seen.closeCodes), new Set(['1001']));
      }
    } finally {
      await browser.close();
    }
  });
});

function runCurl(lab: ClientLab, scheme: Scheme, protocol: '1.1' | '2', args: readonly string[]) {
  const tls = scheme === 'https' ? ['--cacert', lab.edge.certificate.file] : [];
  const where = ['--resolve', `${HOST}:${lab.port(scheme)}:127.0.0.1`];
  const common = ['--silent', '--show-error', '--fail', `--http${protocol}`, ...where, ...tls];
  return runClient(['curl', '--disable', ...common, ...args]);
}

async function askByUndici(lab: ClientLab, scheme: Scheme, dispatcher: Agent): Promise<void> {
  const url = `${scheme}://127.0.0.1:${lab.port(scheme)}/parts/20000/3/4`;
  const ask = async (): Promise<unknown> => {
    const { statusCode, headers, body } = await request(url, { dispatcher, headers: { host: HOST } });
    const bytes = Buffer.from(await body.arrayBuffer());
    assert.deepEqual([statusCode, bytes.equals(payload.slice(20_000))], [200, true]);
    return headers['x-version'];
  };
  const askOften = async (): Promise<unknown[]> => {
    const versions: unknown[] = [];
    for (let time = 0; time < 20; time += 1) versions.push(await ask());
    return versions;
  };
  await untilSeveral(async () => (await Promise.all(Array.from({ length: 6 }, askOften))).flat());
  await dispatcher.close();
}

/** Lets a client work until it has met several versions: a single one would prove nothing. */
async function untilSeveral(work: (turn: number) => Promise<readonly unknown[]>): Promise<void> {
  const versions = new Set<unknown>();
  for (let turn = 0; versions.size < 2 && turn < MOST_TURNS; turn += 1) {
    for (const version of await work(turn)) versions.add(version);
  }
  severalOf([...versions]);
}

function severalOf(versions: readonly unknown[]): void {
  assert.ok(new Set(versions).size >= 2, `versions seen: ${versions.join()}`);
}

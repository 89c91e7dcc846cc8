/** 40 canaries in settings, environment, journal and logs of a host: none of them may be in its support archive. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { Readable } from 'node:stream';
import { extract } from 'tar-stream';
import { sealerFromKeyFile } from '../../../protocol/sealing.ts';
import { makeKeyPair } from '../../../protocol/signing.ts';
import { openJournal } from '../../journal/journal.ts';
import { temporaryFolder } from '../../lib/test-folder.ts';
import { silent } from '../../lib/test-logger.ts';
import { IDS, deployJob } from '../../deployment/test-job.ts';
import { runOurs } from '../../../test/harness/our-program.ts';
import { makeScrubber } from './scrub.ts';

/** Makes and records canaries. They look like secrets that people choose: no rule can recognize all of them. */
class Canaries {
  readonly all: string[] = [];
  /** Words, like a person's password. */
  words = (): string =>
    this.#note(`canary-${['otter', 'heron', 'lynx', 'stoat'][this.all.length % 4]}-${this.all.length}x`);
  /** A key as machines generate it. */
  key = (): string => this.#note(`K${randomBytes(18).toString('base64url')}7`);

  #note(value: string): string {
    this.all.push(value);
    return value;
  }
}

/** Log lines as our processes and apps write them. */
const logLines = ({ words, key }: Canaries): string[] => [
  `{"level":"info","msg":"calling","authorization":"Bearer ${words()}"}`,
  `{"level":"warn","err":{"message":"login failed for https://bob:${words()}@git.example.com/shop.git"}}`,
  `{"level":"warn","line":"{\\"token\\":\\"${words()}\\",\\"x\\":1}"}`,
  `GET /hook?access_token=${words()}&x=1 HTTP/1.1`,
  `Cookie: sid=${words()}; theme=dark`,
  `Set-Cookie: session=${words()}; Path=/; HttpOnly`,
  `API_KEY=${words()} node server.js`,
  `export DB_PASSWORD='${words()}'`,
  `password: "${words()}`,
  `mysql --password ${words()} shop`,
  `orkestr-agent join --hub https://hub.example.com --token ${key()}`,
  `using key ${key()} of the payment provider`,
  `AWS said ${key()}`,
  `-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEI${key()}\n-----END PRIVATE KEY-----`,
  `{"level":"error","pem":"-----BEGIN EC PRIVATE KEY-----\\n${words()}\\n-----END EC PRIVATE KEY-----"}`,
  `Authorization: Basic ${Buffer.from(words()).toString('base64')}`,
  `jwt eyJhbGciOiJIUzI1NiJ9.${key()}.${key()}`,
  `mail to ${words()}@example.com`,
  `redis://:${words()}@cache:6379/0`,
];

async function filesIn(path: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  const entries = extract();
  Readable.from([gunzipSync(readFileSync(path))]).pipe(entries);
  for await (const entry of entries) files.set(entry.header.name, await text(entry));
  return files;
}

test('the support archive contains none of 40 canaries from settings, environment, journal and logs, in any form', async (t) => {
  const folder = temporaryFolder(t);
  const state = join(folder, 'agent');
  const canaries = new Canaries();
  mkdirSync(state, { mode: 0o700 });
  mkdirSync(join(folder, 'logs'));

  // Journal: a job's environment and token, and the error of a failed step.
  const env = {
    DATABASE_URL: `postgres://shop:${canaries.words()}@db/shop`,
    MULTI: `first ${canaries.words()}\nsecond ${canaries.words()}`,
    QUOTED: `say "${canaries.words()}"`,
    ...Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`PLAIN_${index}`, canaries.words()])),
  };
  const journal = await openJournal({
    stateFolder: state,
    sealer: sealerFromKeyFile(join(state, 'secret.key')),
    log: silent,
    now: Date.now,
  });
  const job = deployJob({ env });
  journal.accept(job);
  const leaked = canaries.words();
  journal.record({
    deploymentId: job.deploymentId,
    state: 'failed',
    error: { code: 'ORK_UNHEALTHY', message: `it said ${leaked}`, evidence: [`line: ${canaries.words()}`] },
  });
  const waiting = deployJob({ env, generation: 2 });
  journal.accept(waiting);
  journal.close();

  // Settings: the hub's address, keys; the environment of the doctor itself.
  const hub = { url: `http://admin:${canaries.words()}@127.0.0.1:1/`, publicKey: makeKeyPair().publicKey };
  const identity = { hostId: IDS.host, name: 'a host', hub, since: new Date(0).toISOString() };
  writeFileSync(join(state, 'identity.json'), JSON.stringify(identity), { mode: 0o600 });
  const pair = makeKeyPair();
  writeFileSync(join(state, 'host-key.pem'), `${pair.privateKey}${pair.publicKey}`, { mode: 0o600 });
  canaries.all.push(pair.privateKey.split('\n')[1] ?? '', readFileSync(join(state, 'secret.key'), 'utf8'));
  const environment = {
    ORKESTR_AGENT_STATE: state,
    ORKESTR_AGENT_RUN: join(folder, 'run'),
    ORKESTR_PROXY_SOCKET: join(folder, 'run', 'proxy.sock'),
    ORKESTR_DOCKER_SOCKET: join(folder, 'run', 'docker.sock'),
    ORKESTR_SECRET: canaries.words(),
    NPM_TOKEN: canaries.key(),
    HOME: `/home/${canaries.words()}`,
  };

  // Logs: values from the journal, bare and encoded, and values that only look like secrets.
  const known = Object.values(env).flatMap((value) => value.split('\n'));
  const lines = [
    ...logLines(canaries),
    ...known,
    ...known.map((value) => JSON.stringify({ said: value })),
    ...known.map((value) => `query ${encodeURIComponent(value)}`),
    ...known.map((value) => `body ${Buffer.from(value).toString('base64')}`),
    `the deployment ${job.deploymentId} has failed`,
  ];
  writeFileSync(join(folder, 'logs', 'agent.log'), lines.join('\n'));
  writeFileSync(join(folder, 'logs', 'proxy.log'), lines.toReversed().join('\n'));
  assert.ok(canaries.all.length >= 40, `${canaries.all.length} canaries`);

  const archive = join(folder, 'host.tar.gz');
  const bundle = () => runOurs('agent/main.ts', ['doctor', '--bundle', archive], environment);
  assert.equal((await bundle()).code, 2);
  const files = await filesIn(archive);
  for (const [name, content] of files) {
    const found = canaries.all.filter((canary) => formsOf(canary).some((form) => content.includes(form)));
    assert.deepEqual(found, [], `in ${name}:\n${content}`);
  }
  assert.equal(statSync(archive).mode & 0o777, 0o600);
  assert.match((await bundle()).stderr, /ORK_CONFLICT/, 'no file is written over');

  // What support needs is there, and JSON is still JSON.
  for (const name of ['doctor.json', 'status.json', 'deployments.json', 'settings.json']) {
    assert.doesNotThrow(() => JSON.parse(files.get(`orkestr-support/${name}`) ?? ''), name);
  }
  const deployments = JSON.parse(files.get('orkestr-support/deployments.json') ?? '') as { errorCode: string }[];
  assert.deepEqual(
    deployments.map(({ errorCode }) => errorCode),
    [null, 'ORK_UNHEALTHY'],
  );
  assert.match(
    files.get('orkestr-support/logs/agent.log') ?? '',
    new RegExp(`deployment ${job.deploymentId} has failed`),
  );
});

const formsOf = (canary: string): string[] => [
  canary,
  encodeURIComponent(canary),
  Buffer.from(canary).toString('base64').replace(/=+$/, ''),
  Buffer.from(canary).toString('hex'),
];

test('the scrubber redacts secret fields and leaves other values unchanged', () => {
  const scrubber = makeScrubber([]);
  const id = randomUUID();
  const kept = [
    `orkestr-${id} answers at 172.30.0.2:8080 since 2026-11-28T17:33:15.000Z`,
    `sha256:${'a1'.repeat(32)} is 12.5 MiB, layer overlay2`,
    '/var/lib/orkestr/agent/workspaces is on ext4; disk 68.3 GiB of 252.0 GiB free',
    'Docker Engine 20.10.24+dfsg1, API 1.12 to 1.41; Linux 6.18.44-amd64',
  ];
  for (const line of kept) assert.equal(scrubber.text(line), line);
  assert.deepEqual(scrubber.value({ level: 'ok', token: 'x', deep: [{ password: 'y', n: 1 }] }), {
    level: 'ok',
    token: '[redacted]',
    deep: [{ password: '[redacted]', n: 1 }],
  });
});

/** What was given in confidence shows nowhere: not in logs, errors, databases, images, arguments of programs or API answers. */
import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { EngineApi } from '../../installer/prepare/engine-api.ts';
import { runProgram } from '../../installer/stack/run-program.ts';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';

const CANARY = 'canary-7f3a9c51-variable';

/** Says its secret aloud, in one write and in two halves, and ends. */
const app = {
  'package.json': JSON.stringify({ name: 'loud', scripts: { start: 'node server.js' } }),
  'server.js': `
    const secret = process.env.CANARY;
    console.log('the secret is ' + secret);
    process.stdout.write('in halves ' + secret.slice(0, 9));
    setTimeout(() => { console.log(secret.slice(9)); process.exit(3); }, 300);`,
};

describe('a secret', () => {
  let stack: Stack;
  let argvSeen = '';
  let watch: NodeJS.Timeout;

  before(async () => {
    stack = await startStack();
    watch = setInterval(() => {
      argvSeen += allArguments();
    }, 20);
  });
  after(async () => {
    clearInterval(watch);
    await stack.stop();
  });

  test('of an environment is in no log, error, database, argument or API answer, and neither is a token', async () => {
    const project = await stack.createProject(app, { slug: 'loud', variables: { CANARY } });
    const deployment = await project.deploy();
    assert.equal(deployment.error?.code, 'ORK_APP_EXITED', JSON.stringify(deployment.error));
    assert.ok(
      deployment.error.evidence.some((line) => line.includes('the secret is')),
      'the last lines are evidence',
    );
    const log = await stack.client.open({ method: 'GET', path: `/deployments/${deployment.id}/logs` });
    const places: Record<string, string> = {
      'the deployment in the API': JSON.stringify(deployment),
      'the log': await log.body.text(),
      'arguments of programs': argvSeen,
      ...Object.fromEntries(
        filesBelow(stack.folder)
          .filter((file) => !isGitConfig(file))
          .map((file) => [file, readFileSync(file, 'latin1')]),
      ),
    };
    for (const [place, text] of Object.entries(places)) {
      assert.ok(!text.includes(CANARY), `the variable is in ${place}`);
      assert.ok(!text.includes(stack.token), `the API token is in ${place}`);
    }
    assert.ok(
      Object.keys(places).some((place) => place.endsWith('journal.sqlite')),
      'the databases were looked at',
    );
    assert.ok(
      Object.keys(places).some((place) => place.endsWith('hub.sqlite')),
      'the databases were looked at',
    );
    assert.ok(argvSeen.length > 0, 'programs were watched');
  });

  test('of an environment is not in the image that was built', async () => {
    const engine = new EngineApi(stack.plan.dockerSocket);
    try {
      const project = await stack.createProject(
        { 'index.html': '<p>quiet</p>' },
        { slug: 'quiet', variables: { CANARY } },
      );
      const deployment = await project.deploy();
      assert.equal(deployment.status, 'live', JSON.stringify(deployment.error));
      const id = deployment.release?.image.id ?? '';
      const history = await runProgram(['docker', '-H', `unix://${stack.plan.dockerSocket}`, 'image', 'inspect', id]);
      assert.equal(history.code, 0, history.stderr);
      assert.ok(!history.stdout.includes(CANARY));
    } finally {
      await engine.close();
    }
  });
});

/** The command lines of everything that runs now. */
function allArguments(): string {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => readIfThere(`/proc/${pid}/cmdline`))
    .join('\n');
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // the process has ended
  }
}

/** The one file that may hold a token: the private config of the test's own git client. */
const isGitConfig = (file: string): boolean => /\/git-[a-z]+\.config$/.test(file);

/** All files but those of the sandbox's engine, which are images. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return path.endsWith('/sandbox') ? [] : filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}

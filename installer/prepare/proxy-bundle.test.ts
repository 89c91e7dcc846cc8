import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { runProgram } from '../stack/run-program.ts';
import { PROXY_PROGRAM } from '../stack/proxy-program.ts';
import { ROOT } from '../stack/stack.ts';
import { buildProxy } from './proxy-bundle.ts';

let folder: string;
const quiet = (): void => undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ork-bundle-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** A repository whose proxy only prints something, in part from a file that it imports on demand. */
function repository(name: string): string {
  const root = join(folder, name);
  for (const path of ['proxy/workers', 'protocol']) mkdirSync(join(root, path), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  for (const file of ['proxy/bundle.config.mjs', 'package-lock.json', 'package.json']) {
    cpSync(join(ROOT, file), join(root, file));
  }
  say(root, 'hello');
  writeFileSync(
    join(root, 'proxy/main.ts'),
    `void import('./said.ts').then(({ Greeting }) => console.log(new Greeting()));\n`,
  );
  writeFileSync(join(root, 'proxy/workers/worker.ts'), `void import('../said.ts');\n`);
  return root;
}

const say = (root: string, text: string): void =>
  writeFileSync(join(root, 'proxy/said.ts'), `export class Greeting { readonly text: string = '${text}'; }\n`);

const outputOf = async (program: string): Promise<string> =>
  (await runProgram([process.execPath, program])).stdout.trim();

test('the bundle is rebuilt only if the sources changed, and a program that runs an older one finds all its parts', async () => {
  const root = repository('one');
  const program = join(root, PROXY_PROGRAM);
  const current = dirname(program);
  assert.equal(await buildProxy(root, quiet), 'built');
  // A class keeps its name: logs identify errors by it.
  assert.equal(await outputOf(program), `Greeting { text: 'hello' }`);
  assert.equal(await buildProxy(root, quiet), 'as built before');
  const first = join(dirname(current), readlinkSync(current), 'main.cjs');

  say(root, 'good day');
  assert.equal(await buildProxy(root, quiet), 'built');
  assert.match(await outputOf(program), /good day/);
  assert.match(await outputOf(first), /hello/);

  say(root, 'good night');
  await buildProxy(root, quiet);
  assert.match(await outputOf(program), /good night/);
  assert.equal(readdirSync(dirname(current)).length, 3, 'the last two and the link');
});

test('the same sources give the same bytes, even if two builds run at once', async () => {
  const [one, two] = [repository('one'), repository('two')];
  const done = await Promise.all([one, two, two].map((root) => buildProxy(root, quiet)));
  assert.deepEqual(done, ['built', 'built', 'built']);
  const bytes = (root: string): Record<string, string> => {
    const made = dirname(join(root, PROXY_PROGRAM));
    return Object.fromEntries(readdirSync(made).map((name) => [name, readFileSync(join(made, name), 'utf8')]));
  };
  assert.deepEqual(bytes(one), bytes(two));
});

test("the bundle is ASCII: one other character would double the size of a program's text in memory", async () => {
  const root = repository('one');
  writeFileSync(
    join(root, 'proxy/said.ts'),
    `/*! © them */ export class Greeting { readonly text: string = 'grüß … 🙂'; }\n`,
  );
  await buildProxy(root, quiet);
  assert.equal(await outputOf(join(root, PROXY_PROGRAM)), `Greeting { text: 'grüß … 🙂' }`);
  const made = dirname(join(root, PROXY_PROGRAM));
  for (const name of readdirSync(made)) {
    if (!name.endsWith('.cjs')) continue;
    assert.equal(
      readFileSync(join(made, name)).findIndex((byte) => byte > 0x7f),
      -1,
      name,
    );
  }
});

test('invalid sources fail with the output of rolldown, and the previous bundle stays', async () => {
  const root = repository('one');
  await buildProxy(root, quiet);
  writeFileSync(join(root, 'proxy/said.ts'), 'export const = ;\n');
  await assert.rejects(buildProxy(root, quiet), (error: Error & { evidence?: string[] }) => {
    assert.match(error.message, /rolldown failed/);
    assert.match(error.evidence?.join('\n') ?? '', /said\.ts/);
    return true;
  });
  assert.match(await outputOf(join(root, PROXY_PROGRAM)), /hello/);
});

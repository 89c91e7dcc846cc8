import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import * as fc from 'fast-check';
import { startArgv } from './start-command.ts';

const run = promisify(execFile);

describe('the argv of a start command', () => {
  const CASES: readonly [string, string[]][] = [
    ['node server.js', ['node', 'server.js']],
    ['  node   --enable-source-maps  dist/main ', ['node', '--enable-source-maps', 'dist/main']],
    ['gunicorn --bind 0.0.0.0:$PORT app:app', ['sh', '-c', 'exec gunicorn --bind 0.0.0.0:$PORT app:app']],
    ['NODE_ENV=production node a.js', ['sh', '-c', 'exec env NODE_ENV=production node a.js']],
    ['node migrate.js && node a.js', ['sh', '-c', 'node migrate.js && exec node a.js']],
    ['cd web; node "a b.js"', ['sh', '-c', 'cd web; exec node "a b.js"']],
    ["node -e 'a && b'", ['sh', '-c', "exec node -e 'a && b'"]],
    ['node a.js > /tmp/log 2>&1', ['sh', '-c', 'exec node a.js > /tmp/log 2>&1']],
    ['node a.js | tee log', ['sh', '-c', 'node a.js | tee log']],
    ['node a.js & wait', ['sh', '-c', 'node a.js & wait']],
    ['(node a.js)', ['sh', '-c', '(node a.js)']],
    ['a $(b)', ['sh', '-c', 'a $(b)']],
    ['a && cd $HOME', ['sh', '-c', 'a && cd $HOME']],
    ["echo 'open", ['sh', '-c', "echo 'open"]],
    ['a;', ['sh', '-c', 'a;']],
    ['a && B=1', ['sh', '-c', 'a && B=1']],
    ['A="x y" cd web', ['sh', '-c', 'A="x y" cd web']],
  ];
  for (const [command, argv] of CASES) {
    test(`${command} runs as ${JSON.stringify(argv)}`, () => {
      assert.deepEqual(startArgv(command), argv);
    });
  }

  test('has the same effect as the original line in a shell', async () => {
    const word = fc.constantFrom(
      'echo',
      'one',
      "'two words'",
      '"$HOME"',
      '\\;',
      '&&',
      '||',
      ';',
      'true',
      'A=1',
      'printf x',
    );
    const both = async (argv: readonly string[]): Promise<string> => {
      const [program = '', ...rest] = argv;
      const env = { PATH: '/usr/bin:/bin', HOME: '/' };
      return run(program, rest, { env }).then(
        ({ stdout }) => stdout,
        // A failing line must fail in both forms; the error depends on which program is missing.
        (error: { stdout?: string }) => `failed: ${error.stdout ?? ''}`,
      );
    };
    const line = fc.array(word, { maxLength: 6 }).map((words) => ['echo', ...words].join(' '));
    await fc.assert(
      fc.asyncProperty(line, async (command) => {
        assert.equal(await both(startArgv(command)), await both(['sh', '-c', command]));
      }),
      { numRuns: 100 },
    );
  });
});

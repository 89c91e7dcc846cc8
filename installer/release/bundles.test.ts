import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { BaseImages } from '../../agent/detect/base-images.ts';
import { mustRun } from '../stack/run-program.ts';
import { ROOT } from '../stack/stack.ts';
import { makeBundles } from './bundles.ts';

describe('the bundles of a release', () => {
  let lib: string;
  before(async () => {
    lib = mkdtempSync(join(tmpdir(), 'ork-bundles-'));
    await makeBundles(ROOT, lib);
  });
  after(() => rmSync(lib, { recursive: true, force: true }));

  test("are ASCII: one other character would double the size of a program's text in memory", () => {
    for (const folder of [lib, join(lib, 'proxy')]) {
      for (const name of readdirSync(folder).filter((file) => file.endsWith('.cjs'))) {
        const at = readFileSync(join(folder, name)).findIndex((byte) => byte > 0x7f);
        assert.equal(at, -1, `${name} at ${at}`);
      }
    }
  });

  test('let an agent start without undici, HTTP/2 and commands that it was not asked for', async () => {
    const tell = `
      process.argv = [process.execPath, ${JSON.stringify(join(lib, 'agent.cjs'))}, '--version'];
      process.on('exit', () => console.log(JSON.stringify([Object.keys(require.cache), process.moduleLoadList])));
      require(process.argv[1]);`;
    const lines = (await mustRun('agent', [process.execPath, '--eval', tell])).trim().split('\n');
    const [files, modules] = JSON.parse(lines.at(-1) ?? '') as [string[], string[]];
    assert.deepEqual(
      files.map((path) => basename(path)).filter((name) => /^(?:undici|session|command|build)-/.test(name)),
      [],
    );
    assert.ok(!modules.includes('NativeModule http2'));
  });

  test('have the analysis process beside the agent that starts it, and the process makes a plan', async (t) => {
    assert.match(readFileSync(join(lib, 'agent.cjs'), 'utf8'), /analysis-process/);
    const child = fork(join(lib, 'analysis-process.cjs'));
    t.after(() => child.kill('SIGKILL'));
    const surroundings = { baseImages: BaseImages.parse({}), cacheScope: 'p' };
    const checkout = join(ROOT, 'installer/sample');
    const request = { checkout, rootDirectory: '.', settings: {}, surroundings };
    child.on('message', (said: { kind: string; image?: string }) => {
      if (said.kind === 'question') child.send({ kind: 'answer', image: said.image, isMadeHere: false });
      else child.emit('ended', said);
    });
    child.send({ kind: 'request', request });
    const [said] = (await once(child, 'ended')) as [{ kind: string }];
    assert.equal(said.kind, 'plan', JSON.stringify(said));
  });
});

import { strict as assert } from 'node:assert';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import { ourEnv } from '../../test/harness/our-program.ts';
import { logPath } from '../deployment/log.ts';
import { temporaryFolder } from '../lib/test-folder.ts';
import { deployJob } from '../deployment/test-job.ts';
import { printStepLogs } from './step-logs.ts';

const MAIN = join(import.meta.dirname, '..', 'main.ts');

/** A state folder in which a deployment has this build log. */
function hostWithLog(t: TestContext, log: string): { state: string; folder: string } {
  const state = temporaryFolder(t);
  const folder = join(state, 'logs');
  const path = logPath(folder, deployJob().deploymentId, 'build');
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, log);
  return { state, folder };
}

test('a terminal gets no escape sequences of a build log except colours; a file or pipe gets the log unchanged', async (t) => {
  const log = '\u001b[31mred\u001b[0m\n\u001b]52;c;ZXZpbA==\u0007\u001b[2J\u001b[Hall fine\n50%\r100%';
  const { folder } = hostWithLog(t, log);
  const print = async (isTTY: boolean): Promise<string> => {
    const out = Object.assign(new PassThrough(), { isTTY });
    await printStepLogs({ folder, step: 'build' }, out);
    out.end();
    return text(out);
  };
  assert.equal(await print(true), '\u001b[31mred\u001b[0m\u001b[0m\nall fine\n100%\n');
  assert.equal(await print(false), log);
});

test('the command exits without an error if the reader of the logs goes away, as head does', async (t) => {
  const { state } = hostWithLog(t, 'one line of many\n'.repeat(100_000));
  const agent = spawn(process.execPath, [MAIN, 'logs'], { env: ourEnv({ ORKESTR_AGENT_STATE: state }) });
  agent.stdout.once('data', () => agent.stdout.destroy());
  const [told, [code]] = await Promise.all([text(agent.stderr), once(agent, 'exit')]);
  assert.deepEqual([code, told], [0, '']);
});

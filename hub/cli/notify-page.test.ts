/** Runs the commands of docs/notifications.md with the CLI, against a complete hub and real receivers. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ourEnv } from '../../test/harness/our-program.ts';
import { startTestHub } from '../test-hub.ts';
import { Page } from '../../test/lab/page.ts';
import { startMailServer, startReceiver } from '../notify/test-receiver.ts';

const CLI = fileURLToPath(new URL('main.ts', import.meta.url));

/** A shell in the folder of the project `shop`, logged in. */
function shellOf(t: TestContext, { url, account }: Awaited<ReturnType<typeof startTestHub>>) {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-page-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const program = join(folder, 'bin', 'orkestr');
  mkdirSync(join(folder, 'bin'));
  writeFileSync(program, `#!/bin/sh\nexec '${process.execPath}' '${CLI}' "$@"\n`);
  chmodSync(program, 0o755);
  const env = ourEnv({
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    HOME: folder,
    XDG_CONFIG_HOME: folder,
    ORKESTR_URL: url,
    ORKESTR_TOKEN: account.token,
  });
  const type = async (line: string): Promise<string> =>
    (await promisify(execFile)('sh', ['-e', '-c', line], { cwd: folder, env })).stdout;
  return { folder, type };
}

test('the commands of notifications.md work', async (t) => {
  const mailServer = await startMailServer(t, { hideSTARTTLS: true });
  const chat = await startReceiver(t);
  const on = await startTestHub({
    env: {
      ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1',
      ORKESTR_HUB_SMTP_URL: `smtp://127.0.0.1:${mailServer.port}`,
      ORKESTR_HUB_SMTP_FROM: 'orkestr <orkestr@example.com>',
      ORKESTR_HUB_SMTP_PLAIN: '1',
    },
  });
  t.after(() => on.stop());
  const { folder, type } = shellOf(t, on);
  await type(`git init --quiet && git remote add orkestr ${on.url}/git/shop.git`);
  for (const name of ['slack', 'discord']) writeFileSync(join(folder, `${name}-url.txt`), `${chat.url}/${name}\n`);

  const page = new Page('notifications');
  await type(page.take('orkestr notify add email ops@example.com'));
  await type(page.take('orkestr notify add slack < slack-url.txt'));
  await type(page.take('orkestr notify add discord --team < discord-url.txt'));
  await type(page.take('orkestr notify test slack'));
  assert.match(chat.got[0]?.body ?? '', /^\{"text":"Test: /);
  await type('orkestr notify test email && orkestr notify test discord --team');
  assert.deepEqual([chat.got.length, mailServer.got.length], [2, 1]);
  assert.match(await type(page.take('orkestr notify list')), /^email .*\nslack .*\ndiscord +discord .* team /m);
  await type(page.take('orkestr notify remove slack'));
  assert.doesNotMatch(await type('orkestr notify list'), /slack/);
  assert.deepEqual(page.left, []);
});

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { Output } from './output.ts';

test('a docs page in a message is printed with its URL on the hub', async () => {
  const stderr = new PassThrough();
  const terminal = { stdin: new PassThrough(), stdout: new PassThrough(), stderr };
  const options = { json: false, noColor: true, hubUrl: 'https://hub.example.com' };
  new Output(terminal, options).failure(new OrkestrError('ORK_NOTIFY_MAIL', 'No mail.'));
  stderr.end();
  assert.match(await text(stderr), /\bhttps:\/\/hub\.example\.com\/docs\/notifications\.md\b/);
});

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { reasonOf } from './dialling.ts';

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, '../..');
const TELL = `data:text/javascript,import { getDefaultAutoSelectFamilyAttemptTimeout as ms } from 'node:net';
process.on('exit', () => process.stderr.write('gives an address ' + ms() + ' ms'));`;

for (const program of ['agent/main.ts', 'hub/main.ts', 'hub/cli/main.ts', 'proxy/main.ts']) {
  test(`${program} does not give up an address that answers late`, async () => {
    const { stderr } = await run(process.execPath, ['--import', TELL, join(ROOT, program), '--version']);
    assert.match(stderr, /gives an address 2000 ms$/);
  });
}

test('the error for a name without a reachable address lists the result of each address', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const addresses = ['127.0.0.2', '127.0.0.3'].map((address) => ({ address, family: 4 }));
  const socket = connect({ host: 'hub.invalid', port, lookup: (_name, _options, done) => done(null, addresses) });
  const error = await new Promise<Error>((resolve) => socket.once('error', resolve));
  assert.equal(error.message, '');
  assert.equal(reasonOf(error), `connect ECONNREFUSED 127.0.0.2:${port}; connect ECONNREFUSED 127.0.0.3:${port}`);
});

test('an error without a message is described by its code, and a value that is no error as it is', () => {
  assert.equal(reasonOf(Object.assign(new Error(''), { code: 'ECONNRESET' })), 'ECONNRESET');
  assert.equal(reasonOf(new TypeError('no')), 'no');
  assert.equal(reasonOf('gone'), 'gone');
});

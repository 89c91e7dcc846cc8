import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { runOurs } from '../../test/harness/our-program.ts';
import { temporaryFolder } from '../lib/test-folder.ts';

test('`orkestr-agent certificates retry` normalizes the host name before it calls the proxy', async (t) => {
  const socket = join(temporaryFolder(t), 'proxy.sock');
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    void text(request).then((body) => {
      asked.push(`${request.method} ${request.url} ${body}`);
      response.end('{"changed":true}');
    });
  });
  proxy.listen(socket);
  await once(proxy, 'listening');
  t.after(() => proxy.close());
  const retry = (host: string) =>
    runOurs('agent/main.ts', ['certificates', 'retry', host], { ORKESTR_PROXY_SOCKET: socket });
  assert.match((await retry('Shop.Test.')).stdout, /certificate for shop\.test now/);
  assert.deepEqual(asked, ['POST /v1/certificates/retry {"host":"shop.test"}']);
  assert.match((await retry('not a host')).stderr, /ORK_INVALID/);
});

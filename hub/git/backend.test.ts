import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';

/**
 * Runs in another process with few file descriptors: sends its request over a connection opened before they are used
 * up.
 */
const STARVED = `
  import { closeSync, openSync } from 'node:fs';
  import { Agent, createServer, get } from 'node:http';
  import { serveByBackend } from ${JSON.stringify(new URL('backend.ts', import.meta.url).href)};
  const server = createServer((request, response) => {
    if (request.url === '/') response.end();
    else serveByBackend(request, response, { env: { PATH: process.env.PATH } }).catch(() => response.writeHead(500).end());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = (path) =>
    new Promise((resolve, reject) => {
      get({ port: server.address().port, host: '127.0.0.1', path, agent }, (answer) => {
        answer.resume().on('end', () => resolve(answer.statusCode));
      }).on('error', reject);
    });
  await ask('/');
  const taken = [];
  try {
    for (;;) taken.push(openSync('/dev/null'));
  } catch {}
  const starved = await ask('/git');
  for (const fd of taken) closeSync(fd);
  console.log(starved, await ask('/'));
  process.exit();
`;

test('without a free file descriptor the answer is 502, and the hub keeps running', () => {
  const argv = ['--nofile=64', '--', process.execPath, '--input-type=module', '-e', STARVED];
  assert.equal(execFileSync('prlimit', argv, { encoding: 'utf8', timeout: 60_000 }), '502 200\n');
});

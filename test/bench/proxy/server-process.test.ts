import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { pickCpus } from './lab.ts';
import { ServerProcess } from './server-process.ts';
import { until } from './wait.ts';

/** A Node program on the first core. */
function start(t: TestContext, code: string): ServerProcess {
  const folder = mkdtempSync(join(tmpdir(), 'ork-bench-test-'));
  const { proxy: cpu } = pickCpus(readFileSync('/proc/self/status', 'utf8'));
  const argv = [process.execPath, '--eval', code] as const;
  const server = new ServerProcess({ name: 'program', argv, cpu, logFile: join(folder, 'log') });
  t.after(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}

const said = (server: ServerProcess, word: string): Promise<true> =>
  until(word, server, async () => readFileSync(server.logFile, 'utf8').includes(word) || null);

test('CPU time and memory of a server include its workers', async (t) => {
  const busy = `const end = performance.now() + 50; while (performance.now() < end);
    globalThis.kept = Buffer.alloc(50e6, 1); console.log('worked'); setInterval(() => {}, 1e6);`;
  const server = start(
    t,
    `const { spawn } = require('node:child_process');
    const argv = ['--eval', ${JSON.stringify(busy)}];
    const worker = spawn(process.execPath, argv, { stdio: ['ignore', 'inherit', 'inherit'] }); process.on('SIGTERM', () => { worker.kill(); process.exit(); });`,
  );
  await said(server, 'worked');
  const cpu = server.cpuNanoseconds();
  assert.ok(cpu > 50e6, `${cpu} ns`);
  assert.ok(server.residentBytes() > 100e6, `${server.residentBytes()} bytes`);
});

test('a server runs on its one core', async (t) => {
  const server = start(t, `console.log('up'); setInterval(() => {}, 1e6)`);
  await said(server, 'up');
  const list = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))?.[1];
  assert.equal(list, String(pickCpus(readFileSync('/proc/self/status', 'utf8')).proxy));
});

test('a server that has exited is reported with its last output, never measured', async (t) => {
  const server = start(t, `console.error('the port is taken'); process.exit(3)`);
  await assert.rejects(said(server, 'listening'), /program ended before listening:\n {2}\| the port is taken/);
  assert.throws(() => server.cpuNanoseconds(), /the port is taken/);
  assert.throws(() => server.residentBytes(), /has ended/);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { endProcess, identify, isAlive, signal } from './process-identity.ts';
import { Service } from './service.ts';

let folder: string;
let services: Service[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ork-service-'));
  services = [];
});
afterEach(async () => {
  for (const service of services) await service.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function start(code: string): Promise<Service> {
  const argv = [process.execPath, '-e', code] as const;
  const service = await Service.start({ name: 'thing', argv: [...argv], env: {}, logFile: join(folder, 'thing.log') });
  services.push(service);
  return service;
}

const STAY = 'setInterval(() => {}, 1000);';
const LISTENING = `console.log(JSON.stringify({ msg: 'listening', url: 'http://127.0.0.1:4711' }));`;

test('a service is up once its log has the line, among whatever else is logged', async () => {
  writeFileSync(join(folder, 'thing.log'), '{"msg":"listening","url":"http://127.0.0.1:1"}\n');
  const service = await start(`console.log('{"msg":"list'); console.log('listening'); ${LISTENING} ${STAY}`);
  assert.equal(await service.url(), 'http://127.0.0.1:4711', 'and not the line of an earlier start');
  assert.equal(service.running, true);
  await service.stop();
  assert.equal(service.running, false);
});

test('a service that ends while starting is reported with the end of its log', async () => {
  const service = await start(`console.log('port is taken'); process.exit(3);`);
  await assert.rejects(service.url(), (error: Error & { evidence?: string[] }) => {
    assert.match(error.message, /thing ended while starting/);
    assert.deepEqual(error.evidence, ['port is taken']);
    return true;
  });
  assert.deepEqual(await service.exited, { code: 3, signal: null });
});

test('a service that does not come up in time is reported', async () => {
  const service = await start(STAY);
  await assert.rejects(service.url(50), /did not come up/);
});

test('a service that ignores SIGTERM is killed', async () => {
  const service = await start(`process.on('SIGTERM', () => {}); ${LISTENING} ${STAY}`);
  await service.url();
  assert.deepEqual(await endProcess(service.identity, 50), { killed: true });
  assert.equal((await service.exited).signal, 'SIGKILL');
});

test('a missing program is reported', async () => {
  const argv: [string] = [join(folder, 'nothing')];
  const started = Service.start({ name: 'thing', argv, env: {}, logFile: join(folder, 'x.log') });
  await assert.rejects(started, { code: 'ORK_PREPARE_FAILED' });
});

test('a process is distinguished from a later one with the same number', async () => {
  const service = await start(STAY);
  assert.ok(isAlive(service.identity));
  const recycled = { ...service.identity, startTicks: '1' };
  assert.equal(isAlive(recycled), false);
  assert.equal(signal(recycled, 'SIGKILL'), false);
  assert.ok(isAlive(service.identity), 'the stranger was not hit');
  await service.kill();
  assert.equal(isAlive(service.identity), false);
  assert.equal(identify(2 ** 22 + 1), null);
});

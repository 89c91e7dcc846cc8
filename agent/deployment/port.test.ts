import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { askedPort, choosePort, otherPort, portToRemember } from './port.ts';
import { secondJob } from './test-job.ts';
import type { JobChanges } from './test-job.ts';

const plan = {
  port: 4000,
  portGuessed: true,
  evidence: [{ subject: 'port', value: '4000', from: 'package.json scripts.start' }],
} as const;
const nothing = { portGuessed: true, evidence: [] };
const choose = (job: JobChanges, exposedPorts: number[], from: Parameters<typeof choosePort>[2]) =>
  choosePort(secondJob(job), { exposedPorts }, from);

describe('the port of an app', () => {
  test('the variable PORT wins, because the app reads it', () => {
    const job = { env: { PORT: '5000' }, settings: { port: 6000 } };
    assert.deepEqual(choose(job, [3000], { ...plan, evidence: [...plan.evidence] }), {
      value: 5000,
      from: 'environment variable PORT',
      guessed: false,
    });
  });

  test('the setting of the environment comes next', () => {
    assert.deepEqual(choose({ settings: { port: 6000 } }, [3000], nothing), {
      value: 6000,
      from: 'environment setting',
      guessed: false,
    });
  });

  test('the only port that the image exposes comes next', () => {
    assert.deepEqual(choose({}, [3000], { ...plan, evidence: [...plan.evidence] }), {
      value: 3000,
      from: 'EXPOSE of the image',
      guessed: false,
    });
  });

  test('among several exposed ports none is chosen, and the port of the analysis applies', () => {
    assert.deepEqual(choose({}, [3000, 9229], { ...plan, evidence: [...plan.evidence] }), {
      value: 4000,
      from: 'package.json scripts.start',
      guessed: true,
    });
  });

  test('the default is 8080', () => {
    assert.deepEqual(choose({}, [], nothing), { value: 8080, from: 'default', guessed: true });
  });

  test('a port in orkestr.json precedes EXPOSE, which may come from a base image', () => {
    const said = {
      port: 5000,
      portGuessed: false,
      evidence: [{ subject: 'port', value: '5000', from: 'orkestr.json line 2' }],
    } as const;
    assert.deepEqual(choose({}, [80], { ...said, evidence: [...said.evidence] }), {
      value: 5000,
      from: 'orkestr.json line 2',
      guessed: false,
    });
  });

  test('a port found by an earlier deployment precedes a guess but not a stated port', () => {
    const found = (exposedPorts: number[], from: Parameters<typeof choosePort>[2]) =>
      choosePort(secondJob(), { exposedPorts }, from, 4999).value;
    assert.equal(found([], { ...plan, evidence: [] }), 4999);
    assert.equal(found([], nothing), 4999);
    assert.equal(found([3000], nothing), 3000);
    assert.equal(choosePort(secondJob({ settings: { port: 1 } }), { exposedPorts: [] }, nothing, 4999).value, 1);
  });

  test('a found port is remembered for as long as it serves', () => {
    const earlier = choosePort(secondJob(), { exposedPorts: [] }, nothing, 4999);
    const target = { port: earlier.value, portFrom: earlier.from };
    assert.equal(portToRemember({ port: 8080, portFrom: 'default' }, { foundPort: 4999 }), 4999);
    assert.equal(portToRemember(target, { foundPort: null }), 4999);
    assert.equal(portToRemember({ port: 8080, portFrom: 'default' }, { foundPort: null }), null);
  });

  test('the only other listening port counts on any address but loopback', () => {
    const at = (address: string, port: number) => ({ address, port });
    assert.equal(otherPort(80, [at('0.0.0.0', 81), at('::', 81), at('127.0.0.1', 82)]), 81);
    assert.equal(otherPort(80, [at('0.0.0.0', 81), at('0.0.0.0', 82)]), null);
    assert.equal(otherPort(80, [at('0.0.0.0', 80)]), null);
    assert.equal(otherPort(80, [at('127.0.0.1', 81)]), null);
    assert.equal(otherPort(80, []), null);
  });

  for (const PORT of ['', 'http', '0', '65536', '8e3', '-1', '80 ']) {
    test(`PORT=${JSON.stringify(PORT)} is rejected`, () => {
      assert.throws(() => askedPort(secondJob({ env: { PORT } })), { code: 'ORK_INVALID' });
    });
  }
});

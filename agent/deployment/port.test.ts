import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import { askedPort, choosePort } from './port.ts';
import { aJob } from './test-context.ts';

const plan = {
  port: 4000,
  evidence: [{ subject: 'port', value: '4000', from: 'package.json scripts.start' }],
} as const;
const nothing = { evidence: [] };
const choose = (job: Parameters<typeof aJob>[0], exposedPorts: number[], from: Parameters<typeof choosePort>[2]) =>
  choosePort(aJob(job), { exposedPorts }, from);

describe('the port of an app', () => {
  test('the variable PORT wins, for the app will read it', () => {
    const job = { env: { PORT: '5000' }, settings: { port: 6000 } };
    assert.deepEqual(choose(job, [3000], { ...plan, evidence: [...plan.evidence] }), {
      value: 5000,
      from: 'environment variable PORT',
    });
  });

  test('then the setting of the environment', () => {
    assert.deepEqual(choose({ settings: { port: 6000 } }, [3000], nothing), {
      value: 6000,
      from: 'environment setting',
    });
  });

  test('then the one port that the image exposes', () => {
    assert.deepEqual(choose({}, [3000], { ...plan, evidence: [...plan.evidence] }), {
      value: 3000,
      from: 'EXPOSE of the image',
    });
  });

  test('of several exposed ports none is taken, but what the analysis found', () => {
    assert.deepEqual(choose({}, [3000, 9229], { ...plan, evidence: [...plan.evidence] }), {
      value: 4000,
      from: 'package.json scripts.start',
    });
  });

  test('else 8080', () => {
    assert.deepEqual(choose({}, [], nothing), { value: 8080, from: 'default' });
  });

  for (const PORT of ['', 'http', '0', '65536', '8e3', '-1', '80 ']) {
    test(`PORT=${JSON.stringify(PORT)} is refused`, () => {
      assert.throws(() => askedPort(aJob({ env: { PORT } })), { code: 'ORK_INVALID' });
    });
  }
});

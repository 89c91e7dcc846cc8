import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Docker from 'dockerode';
import { scripted } from '../deployment/test-ports.ts';
import type { Engine } from '../lib/engine.ts';
import { removeContainer } from './remove.ts';

test('a removal that another call has begun is waited for', async () => {
  const answers = [409, 200, 200, 404];
  const answer = async (): Promise<object> => {
    const statusCode = answers.shift() ?? assert.fail('nothing more is asked');
    if (statusCode === 200) return { Id: 'c1' };
    throw Object.assign(new Error('refused'), { statusCode });
  };
  const container = scripted<Docker.Container>('container', {
    remove: answer as Docker.Container['remove'],
    inspect: answer as Docker.Container['inspect'],
  });
  const docker = scripted<Docker>('docker', { getContainer: () => container });
  const call: Engine['call'] = (_what, work) => work(docker, new AbortController().signal);
  await removeContainer(scripted<Engine>('engine', { call }), 'c1', { withVolumes: true });
  assert.deepEqual(answers, []);
});

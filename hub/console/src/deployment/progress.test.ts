import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STEP_NAMES } from '../../../../protocol/steps.ts';
import { logEvent, sampleDeployment, statusEvent, stepEvent } from '../../../cli/test-answers.ts';
import type { DeploymentStatus } from '../../../../protocol/agent-link.ts';
import type { ErrorReport } from '../../../../protocol/errors.ts';
import type { Deployment, DeploymentEvent } from '../../../api/schemas.ts';
import { STEPS, fold, refresh, startProgress, stepOfInterest } from './progress.ts';

const after = (...events: DeploymentEvent[]) => events.reduce(fold, startProgress(sampleDeployment(), []));

test('the console has the same steps as the pipeline', () => {
  assert.deepEqual([...STEPS], [...STEP_NAMES]);
});

test('events advance a deployment to its end', () => {
  const progress = after(
    stepEvent({ name: 'clone', status: 'running' }),
    stepEvent({ name: 'clone', status: 'done', ms: 5 }),
    stepEvent({ name: 'analyze', status: 'running' }),
    statusEvent({ status: 'live' }),
    { kind: 'end', status: 'live' },
  );
  assert.equal(progress.deployment.status, 'live');
  assert.equal(progress.streamEnded, true);
  assert.deepEqual(
    [...progress.steps.values()].map(({ name, status }) => [name, status]),
    [
      ['clone', 'done'],
      ['analyze', 'running'],
    ],
  );
});

test('a replay from the start does not revert a deployment that has ended', () => {
  const ended = startProgress(sampleDeployment({ status: 'failed' }), []);
  assert.equal(fold(ended, statusEvent({ status: 'running' })).deployment.status, 'failed');
  assert.equal(fold(ended, statusEvent({ status: 'superseded' })).deployment.status, 'superseded');
});

test('a deployment that was taken for lost runs again when its host is back, and is followed again', () => {
  const error: ErrorReport = { code: 'ORK_HOST_LOST', message: 'The host is away.', evidence: [] };
  const lost: Partial<Deployment> = { status: 'failed', error };
  const replayed = after(statusEvent({ status: 'running' }), statusEvent(lost), statusEvent({ status: 'running' }));
  assert.equal(replayed.deployment.status, 'running');
  assert.equal(fold(replayed, statusEvent({ status: 'live' })).deployment.status, 'live');

  const shown = after(statusEvent(lost), { kind: 'end', status: 'failed' });
  assert.deepEqual([shown.deployment.status, shown.streamEnded], ['failed', true]);
  const detail = (change: Partial<Deployment>) => ({
    ...sampleDeployment(change),
    steps: [],
    release: null,
  });
  assert.equal(refresh(shown, detail(lost)).streamEnded, true);
  const back = refresh(shown, detail({ status: 'running' }));
  assert.deepEqual([back.deployment.status, back.deployment.error, back.streamEnded], ['running', null, false]);
});

test('a replay does not restart a finished step, but an agent that starts it again does', () => {
  const done = stepEvent({ name: 'build', status: 'done', ms: 5 });
  const again = stepEvent({ name: 'build', status: 'running', startedAt: '2030-01-01T00:01:00.000Z' });
  const status = (...events: DeploymentEvent[]) => after(...events).steps.get('build')?.status;
  assert.equal(status(done, stepEvent({ name: 'build', status: 'running' })), 'done');
  assert.equal(status(done, again), 'running');
});

test('log events do not change the progress', () => {
  const progress = after();
  assert.equal(fold(progress, logEvent('build', 0, 'x')), progress);
});

test('the step of interest is the failed one, else the running one, else the last', () => {
  const done = stepEvent({ name: 'clone', status: 'done' });
  const failed = stepEvent({ name: 'build', status: 'failed' });
  assert.equal(stepOfInterest(after()), 'clone');
  assert.equal(stepOfInterest(after(done, stepEvent({ name: 'analyze', status: 'running' }))), 'analyze');
  assert.equal(stepOfInterest(after(done, failed, stepEvent({ name: 'deploy', status: 'skipped' }))), 'build');
  assert.equal(stepOfInterest(after(done, stepEvent({ name: 'analyze', status: 'done' }))), 'analyze');
});

test('a refresh adds what happened after the end, and does not revert what an event reported', () => {
  const fetched = (status: DeploymentStatus) => ({ ...sampleDeployment({ status }), steps: [], release: null });
  const live = after(statusEvent({ status: 'live' }), { kind: 'end', status: 'live' });
  assert.equal(refresh(live, fetched('superseded')).deployment.status, 'superseded');
  assert.equal(refresh(live, fetched('running')).deployment.status, 'live');
  const superseded = refresh(live, fetched('superseded'));
  assert.equal(fold(superseded, statusEvent({ status: 'live' })).deployment.status, 'superseded');
  const step = stepEvent({ name: 'build', status: 'done', ms: 5 });
  assert.ok(step.kind === 'step');
  const steps = refresh(after(), { ...fetched('running'), steps: [step.step] }).steps;
  assert.equal(steps.get('build')?.status, 'done');
});

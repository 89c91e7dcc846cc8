import assert from 'node:assert/strict';
import { test } from 'node:test';
import { overSession } from './lost-session.ts';
import type { BuildSession } from './session.ts';

const LOST =
  'failed to solve with frontend dockerfile.v0: failed to read dockerfile: no active session for 521097db: context deadline exceeded';

/** Builds whose answers are `errors`, one after the other. */
async function built(...errors: readonly (string | null)[]) {
  const events: string[] = [];
  const answers = [...errors];
  let opened = 0;
  const open = async (): Promise<BuildSession> => {
    const id = `${(opened += 1)}`;
    return { id, sync: { files: 0, bytes: 0, failure: null }, close: () => void events.push(`close ${id}`) };
  };
  const build = async ({ id }: BuildSession): Promise<{ error: string | null }> => {
    events.push(`build ${id}`);
    const error = answers.shift();
    if (error === undefined) throw new Error('the engine is gone');
    return { error };
  };
  const answer = await overSession(open, build, () => void events.push('lost')).catch((error: Error) => error.message);
  return { answer, events };
}

test('a build whose session is lost is built again over another one', async () => {
  const { answer, events } = await built(LOST, null);
  assert.deepEqual(answer, { error: null });
  assert.deepEqual(events, ['build 1', 'close 1', 'lost', 'build 2', 'close 2']);
});

test('a build that loses three sessions fails with the error of the engine', async () => {
  const { answer, events } = await built(LOST, LOST, LOST);
  assert.deepEqual(answer, { error: LOST });
  assert.equal(events.at(-1), 'close 3');
});

test('a build that fails by itself is not built again', async () => {
  const error = 'process "/bin/sh -c echo no active session" did not complete successfully: exit code: 1';
  const { answer, events } = await built(error);
  assert.deepEqual(answer, { error });
  assert.deepEqual(events, ['build 1', 'close 1']);
});

test('a session is closed if the engine fails during the build', async () => {
  const { answer, events } = await built();
  assert.equal(answer, 'the engine is gone');
  assert.deepEqual(events, ['build 1', 'close 1']);
});

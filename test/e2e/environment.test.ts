/**
 * What happens to environments in their life. They share an installation, as on a host; each part has projects of its
 * own, and is one story in the order of its tests.
 */
import { after, before, describe } from 'node:test';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';
import { comeback } from './environment/comeback.ts';
import { cutover } from './environment/cutover.ts';
import { edgeSettings } from './environment/edge.ts';
import { exec } from './environment/exec.ts';
import { failures } from './environment/failures.ts';
import { push } from './environment/push.ts';
import { regression } from './environment/regression.ts';
import { rollback } from './environment/rollback.ts';
import { worker } from './environment/worker.ts';

let stack: Stack;
before(async () => {
  // Its own git server, on loopback, is the repository elsewhere of the pushes.
  const hub = { ORKESTR_ALLOW_HTTP_REPOSITORIES: '1', ORKESTR_HUB_NOTIFY_ALLOW: '127.0.0.1' };
  stack = await startStack({ env: { hub } });
});
after(() => stack?.stop());

describe('git push', () => push(() => stack));
describe('settings of the edge', () => edgeSettings(() => stack));
describe('a deployment under traffic', () => cutover(() => stack));
describe('a deployment that fails', () => failures(() => stack));
describe('a deployment that goes bad right after it was healthy', () => regression(() => stack));
describe('an app that crashes', () => comeback(() => stack));
describe('a rollback', () => rollback(() => stack));
describe('a background worker', () => worker(() => stack));
// Last: it kills agent and hub.
describe('a command in an app', () => exec(() => stack));

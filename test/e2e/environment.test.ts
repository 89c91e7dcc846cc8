/** What happens to environments in their life. Each has its own project; they share an installation, as on a host. */
import { after, before, describe } from 'node:test';
import { startStack } from '../harness/stack.ts';
import type { Stack } from '../harness/stack.ts';
import { comeback } from './environment/comeback.ts';
import { edgeSettings } from './environment/edge.ts';
import { failures } from './environment/failures.ts';
import { regression } from './environment/regression.ts';
import { rollback } from './environment/rollback.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack?.stop());

describe('settings of the edge', () => edgeSettings(() => stack));
describe('a deployment that fails', () => failures(() => stack));
describe('a deployment that goes bad right after it was healthy', () => regression(() => stack));
describe('an app that crashes', () => comeback(() => stack));
describe('a rollback', () => rollback(() => stack));

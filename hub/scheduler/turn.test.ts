import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decideTurn, isOccupying, type OpenDeployment } from './turn.ts';

const open: fc.Arbitrary<OpenDeployment[]> = fc
  .array(
    fc.record({
      trigger: fc.constantFrom<OpenDeployment['trigger'][]>('push', 'manual', 'rollback'),
      status: fc.constantFrom<OpenDeployment['status'][]>('queued', 'running'),
      sent: fc.boolean(),
    }),
    { maxLength: 12 },
  )
  .chain((list) =>
    fc.shuffledSubarray(
      list.map(({ trigger, status, sent }, index) => ({
        id: `d${index}`,
        generation: index + 1,
        trigger,
        status,
        sent_at: sent || status === 'running' ? 'then' : null,
      })),
      { minLength: list.length },
    ),
  );

const waits = (deployment: OpenDeployment): boolean => !isOccupying(deployment);

test('nothing starts while a deployment is out', () => {
  fc.assert(fc.property(open, (list) => !list.some(isOccupying) || decideTurn(list).next === undefined));
});

test('only waiting pushes are skipped: all except the newest, which replaces them', () => {
  fc.assert(
    fc.property(open, (list) => {
      const pushes = list
        .filter((deployment) => waits(deployment) && deployment.trigger === 'push')
        .toSorted((a, b) => a.generation - b.generation);
      const newest = pushes.pop();
      const expected = pushes.map(({ id }) => ({ id, replacedBy: newest?.id }));
      assert.deepEqual(decideTurn(list).skip, expected);
    }),
  );
});

test('when nothing is out, the oldest remaining deployment is next', () => {
  fc.assert(
    fc.property(open, (list) => {
      fc.pre(!list.some(isOccupying));
      const { skip, next } = decideTurn(list);
      const kept = list.filter(({ id }) => !skip.some((skipped) => skipped.id === id));
      const oldest = kept.toSorted((a, b) => a.generation - b.generation)[0];
      assert.equal(next, oldest?.id);
    }),
  );
});

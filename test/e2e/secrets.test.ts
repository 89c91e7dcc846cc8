/** Secrets appear nowhere: not in logs, errors, databases, images, arguments of programs or API responses. */
import { strict as assert } from 'node:assert';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Findings } from '../secrets/trial.ts';
import { Trial } from '../secrets/trial.ts';

describe('forty secrets of an installation', () => {
  let trial: Trial;
  let findings: Findings;
  /** Where one of them is planted, to prove that the search can find something. */
  let planted: Findings['hits'][number];

  before(async () => {
    trial = await Trial.start();
    await trial.run();
    const [canary] = trial.canaries;
    assert.ok(canary);
    planted = { canary: canary.name, place: join(trial.stack.folder, 'logs', 'planted.log') };
    writeFileSync(planted.place, `something\nbefore ${canary.value} after\n`);
    findings = await trial.find();
  });
  after(() => trial.stop());

  test('all are used, by builds and apps that print them', async () => {
    assert.equal(trial.canaries.length, 40);
    const [loud, quiet, mounted, ...external] = trial.deployments;
    assert.ok(loud !== undefined && quiet !== undefined && mounted !== undefined);
    assert.equal(loud.error?.code, 'ORK_APP_EXITED', JSON.stringify(loud.error));
    assert.match(loud.error.evidence.join('\n'), /\[redacted\][^]*told 14/, 'its last lines are evidence');
    for (const { status, error } of [quiet, mounted]) assert.equal(status, 'live', JSON.stringify(error));
    assert.match(await trial.log(loud), /CANARY_B1 is \[redacted\][^]*told 12/);
    assert.equal((await trial.log(mounted)).match(/^told$/gm)?.length, 12);
    assert.deepEqual(
      external.map(({ error }) => error?.code),
      Array.from({ length: 4 }, () => 'ORK_NOTHING_DETECTED'),
      'each was cloned with its token',
    );
  });

  test('no log, database, API answer, image, file of the engines or argument of a program has one; the search finds the planted one', () => {
    assert.deepEqual(findings.hits, [planted]);
    assert.ok(findings.places > 100, `${findings.places} places were searched`);
  });
});

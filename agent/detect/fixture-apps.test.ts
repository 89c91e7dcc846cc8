import { strict as assert } from 'node:assert';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { BuildPlan } from '../../protocol/steps.ts';
import { BUILT, PLANNED_ONLY } from '../../test/apps/apps.ts';
import { planFile, PLANNED, planOf } from '../../test/fixtures/plan-of.ts';
import { DETECTORS } from './index.ts';
import { RepositoryFolder } from './test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

describe('plans of the fixture apps', () => {
  for (const name of PLANNED) {
    test(`${name} has the plan of its golden file`, async () => {
      const golden: unknown = JSON.parse(await readFile(planFile(name), 'utf8'));
      assert.deepEqual(BuildPlan.parse(await planOf(name)), golden);
    });
  }

  test('every detector and every framework that it can name has a fixture app', async () => {
    const plans = await Promise.all(PLANNED.map(planOf));
    const shown = new Set(plans.map(({ detector, framework }) => `${detector}: ${framework}`));
    const known = DETECTORS.flatMap(({ name, frameworks }) => frameworks.map((framework) => `${name}: ${framework}`));
    assert.deepEqual([...shown].toSorted(), [...new Set(known)].toSorted());
  });

  test('e2e:apps builds each fixture app, or the list says why not', () => {
    assert.deepEqual([...Object.keys(BUILT), ...Object.keys(PLANNED_ONLY)].toSorted(), PLANNED);
  });

  test('every generated Dockerfile runs as a numeric user, in exec form, on pinned images', async () => {
    for (const name of PLANNED) {
      const { dockerfile } = await planOf(name);
      if (dockerfile.origin === 'repository') continue;
      const last = dockerfile.text.split(/^FROM /m).at(-1) ?? '';
      assert.match(last, /^USER 10001:10001$/m, name);
      assert.match(last, /^STOPSIGNAL SIG[A-Z]+$/m, name);
      assert.match(last, /^ENTRYPOINT \[\]\nCMD \[".*\]$/m, name);
      for (const [, image = ''] of dockerfile.text.matchAll(/^FROM (\S+)/gm)) {
        assert.match(image, /:[a-z]*-?\d|^debian:trixie-slim$|^(?:deno|php)$/, `${name}: ${image}`);
      }
    }
  });

  test('the error for nothing-detected names what each detector looked for', async () => {
    await assert.rejects(planOf('nothing-detected'), (error: unknown) => {
      assert.ok(error instanceof OrkestrError);
      assert.equal(error.code, 'ORK_NOTHING_DETECTED');
      for (const { name } of DETECTORS) assert.match(error.message, new RegExp(`\\b${name}: `));
      return true;
    });
  });
});

import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { evidenceOf, RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);

describe('detector static', () => {
  test('serves index.html from the root or from a folder for finished sites', async () => {
    assert.equal(evidenceOf(await plan({ 'index.html': '' }), 'output'), '. (index.html)');
    assert.match((await plan({ 'public/index.html': '' })).dockerfile.text, / public\/ \/srv\/www\//);
  });
});

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
const json = (value: unknown): string => JSON.stringify(value);

describe('detector dockerfile', () => {
  test('gives a Dockerfile precedence over everything else', async () => {
    const made = await plan({ Dockerfile: 'FROM x:1', 'package.json': json({ scripts: { start: 'node a' } }) });
    assert.equal(made.detector, 'dockerfile');
    assert.deepEqual(made.files, []);
  });

  test('does not read the text of a here-document as instructions', async () => {
    const text =
      'FROM a AS web\nCOPY <<-"A" <<B /x/\nFROM b\n\tA\nEXPOSE 1\nB\nRUN cat <<C\nUSER x\n C\nEXPOSE 2\nC\nEXPOSE 3\n';
    const made = await plan({ Dockerfile: text });
    assert.equal(evidenceOf(made, 'runtime'), 'a (Dockerfile line 1)');
    assert.equal(evidenceOf(made, 'port'), '3 (Dockerfile line 12)');
    const shift = await plan({ Dockerfile: 'FROM a\nRUN echo $((1<<BITS)) <<NONE\nEXPOSE 4\n' });
    assert.equal(shift.port, 4);
  });

  test('finds a Dockerfile under its other names', async () => {
    for (const name of ['dockerfile', 'Containerfile'])
      assert.equal((await plan({ [name]: 'FROM x:1' })).dockerfile.path, name);
    assert.equal((await plan({ Dockerfile: 'FROM x:1', Containerfile: 'FROM y:1' })).dockerfile.path, 'Dockerfile');
  });

  test('reports the final base image as the runtime instead of the name of a stage', async () => {
    const made = await plan({ Dockerfile: 'ARG V=3.4\nFROM ruby:$V AS base\nFROM base AS build\nFROM base\n' });
    assert.equal(evidenceOf(made, 'runtime'), 'ruby:$V (Dockerfile line 2)');
  });

  test('counts only the ports of the last stage', async () => {
    const made = await plan({
      Dockerfile: 'FROM a AS build\nEXPOSE 1\nfrom --platform=linux/amd64 b\nexpose 3000/tcp 53/udp',
    });
    assert.equal(made.port, 3000);
    assert.equal(evidenceOf(made, 'runtime'), 'b (Dockerfile line 3)');
    assert.equal(evidenceOf(made, 'port'), '3000 (Dockerfile line 4)');
  });

  test('warns about several ports and chooses none', async () => {
    const made = await plan({ Dockerfile: 'FROM a\nEXPOSE 3000 9229' });
    assert.equal(made.port, undefined);
    assert.match(made.warnings.join(), /several ports/);
  });

  test('names a Dockerfile without FROM in the error', async () => {
    assert.match((await repository.refusal({ Dockerfile: '# empty\n' })).message, /Dockerfile has no FROM/);
  });
});

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { OrkestrError } from '../../protocol/errors.ts';
import { planInProcess } from './analysis.ts';
import { BaseImages } from './base-images.ts';
import type { Surroundings } from './detector.ts';

describe('an analysis in a process of its own', () => {
  let checkout: string;
  beforeEach(() => void (checkout = mkdtempSync(join(tmpdir(), 'ork-analysis-'))));
  afterEach(() => rmSync(checkout, { recursive: true, force: true }));

  const plan = (parts: Partial<Surroundings> = {}, signal = new AbortController().signal) => {
    const surroundings = { baseImages: BaseImages.parse({}), isMadeHere: async () => false, cacheScope: 'p', ...parts };
    return planInProcess({ checkout, rootDirectory: '.', settings: {}, surroundings }, signal);
  };
  const childPid = (): number => Number(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'));
  const write = (name: string, text: string): void => writeFileSync(join(checkout, name), text);

  test('gives the plan back, and asks the engine about images', async () => {
    write('package.json', '{"scripts":{"start":"node a.js"},"engines":{"node":"18"}}');
    const isMadeHere = async (image: string): Promise<boolean> => image === 'node:22-trixie-slim';
    const { detector, dockerfile } = await plan({ isMadeHere });
    assert.equal(detector, 'node');
    assert.match(dockerfile.text, /^FROM node:22-trixie-slim$/m);
  });

  test('is started with a bound for its heap', async () => {
    let argv: string[] = [];
    const isMadeHere = async (): Promise<boolean> => {
      argv = readFileSync(`/proc/${childPid()}/cmdline`, 'utf8').split('\0');
      return false;
    };
    write('package.json', '{"scripts":{"start":"node a.js"},"engines":{"node":"18"}}');
    await plan({ isMadeHere });
    assert.ok(argv.includes('--max-old-space-size=512'), argv.join(' '));
  });

  test('a repository that cannot be built is refused with code and evidence', async () => {
    await assert.rejects(plan(), (error) => {
      assert.ok(error instanceof OrkestrError);
      assert.equal(error.code, 'ORK_NOTHING_DETECTED');
      assert.ok(error.evidence.length > 5);
      return true;
    });
  });

  test('an engine that does not answer ends it with its own error', async () => {
    write('package.json', '{"scripts":{"start":"node a.js"},"engines":{"node":"18"}}');
    const isMadeHere = (): Promise<never> => Promise.reject(new OrkestrError('ORK_ENGINE_TIMEOUT', 'It is silent.'));
    await assert.rejects(plan({ isMadeHere }), { code: 'ORK_ENGINE_TIMEOUT' });
  });

  test('what nobody expects is an error of ours, and not a plan', async () => {
    const bad = { checkout, rootDirectory: '.', settings: null, surroundings: {} } as never;
    await assert.rejects(planInProcess(bad, new AbortController().signal), {
      code: 'ORK_INTERNAL',
      message: /ended without a plan \(1\)/,
    });
  });

  test('a process that V8 ends at its limit of memory is one that the repository has made too large', async () => {
    write('package.json', '{"scripts":{"start":"node a.js"},"engines":{"node":"18"}}');
    const isMadeHere = (): Promise<boolean> => {
      process.kill(childPid(), 'SIGABRT');
      return new Promise(() => undefined);
    };
    await assert.rejects(plan({ isMadeHere }), { code: 'ORK_ANALYSIS_LIMIT', message: /more than 512 MiB/ });
  });

  test('is ended by its signal in the middle of its work, and the agent has turns meanwhile', async () => {
    const over = new AbortController();
    const stop = new OrkestrError('ORK_CANCELLED', 'Cancelled.');
    const isMadeHere = (): Promise<boolean> => {
      over.abort(stop);
      return new Promise(() => undefined);
    };
    write('package.json', '{"scripts":{"start":"node a.js"},"engines":{"node":"18"}}');
    await assert.rejects(plan({ isMadeHere }, over.signal), (error) => error === stop);
    await assert.rejects(plan({}, over.signal), (error) => error === stop);
    assert.equal(readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8'), '', 'it is gone');
  });
});

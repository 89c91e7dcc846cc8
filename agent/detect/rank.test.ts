import { strict as assert } from 'node:assert';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { CONFIDENCES } from '../../protocol/steps.ts';
import type { Confidence } from '../../protocol/steps.ts';
import { rank } from './rank.ts';
import type { Outcome } from './rank.ts';

type Detected = { readonly confidence: Confidence };
const detector = (name: string, best: Confidence = 'certain') => ({ name, best });
const found = (name: string, confidence: Confidence): Outcome<Detected> => ({
  detector: detector(name),
  kind: 'found',
  app: { confidence },
});
const failed = (name: string, best: Confidence): Outcome<Detected> => ({
  detector: detector(name, best),
  kind: 'failed',
  error: new Error(name),
});
const missed = (name: string): Outcome<Detected> => ({ detector: detector(name), kind: 'missed', why: 'no file' });
const order = (...outcomes: Outcome<Detected>[]): string[] => rank(outcomes).map((one) => one.detector.name);

describe('the ranking of results', () => {
  test('puts the result with the higher confidence first, whatever the order', () => {
    assert.deepEqual(order(found('static', 'guess'), found('python', 'certain')), ['python', 'static']);
  });

  test('puts the earlier detector of the list first among equally confident ones', () => {
    assert.deepEqual(order(found('go', 'certain'), found('node', 'certain')), ['go', 'node']);
  });

  test("places a failure by its detector's best confidence: above a guess, below a more confident result", () => {
    assert.deepEqual(order(failed('node', 'certain'), found('static', 'guess')), ['node', 'static']);
    assert.deepEqual(order(failed('node', 'certain'), found('dockerfile', 'stated')), ['dockerfile', 'node']);
    assert.deepEqual(order(found('go', 'certain'), failed('node', 'certain')), ['go', 'node']);
  });

  test('leaves out detectors that found nothing', () => {
    assert.deepEqual(order(missed('go'), missed('node')), []);
    assert.deepEqual(order(missed('go'), found('node', 'likely')), ['node']);
  });

  test('loses no result and sorts by descending confidence', () => {
    const outcome = fc.oneof(
      fc.constantFrom(...CONFIDENCES).map((confidence) => found('f', confidence)),
      fc.constantFrom(...CONFIDENCES).map((best) => failed('e', best)),
      fc.constant(missed('m')),
    );
    fc.assert(
      fc.property(fc.array(outcome), (outcomes) => {
        const ranked = rank(outcomes);
        assert.equal(ranked.length, outcomes.filter(({ kind }) => kind !== 'missed').length);
        const weights = ranked.map((one) =>
          CONFIDENCES.indexOf(one.kind === 'found' ? one.app.confidence : one.detector.best),
        );
        assert.deepEqual(
          weights,
          weights.toSorted((a, b) => b - a),
        );
      }),
    );
  });
});

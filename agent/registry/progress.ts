/** Progress of a push or pull, from the lines of the engine's response: logged now and then, and counted at the end. */
import type { StepLog } from '../deployment/ports.ts';
import type { AnswerLine } from '../lib/engine-answer.ts';
import { humanSize } from '../../protocol/size.ts';

const EVERY_MS = 5000;

/** The engine's status texts for a layer, per direction. */
const WORDS = {
  push: { moving: 'Pushing', moved: /^Pushed$/, there: /^(?:Layer already exists|Mounted from )/ },
  pull: { moving: 'Downloading', moved: /^Pull complete$/, there: /^Already exists$/ },
} as const;

interface Progress {
  take(line: AnswerLine): void;
  /** All layers, and those that had to be transferred. */
  layers(): { readonly all: number; readonly sent: number };
}

/** @param now monotonic, ms */
export function makeProgress(way: keyof typeof WORDS, log: StepLog, now: () => number): Progress {
  const words = WORDS[way];
  const bytes = new Map<string, { readonly current: number; readonly total: number }>();
  const [moved, there] = [new Set<string>(), new Set<string>()];
  let told = now();
  const sum = (of: 'current' | 'total'): string =>
    humanSize([...bytes.values()].reduce((all, layer) => all + layer[of], 0));
  return {
    take({ id, status, progressDetail }) {
      if (id === undefined || status === undefined) return;
      if (words.moved.test(status)) moved.add(id);
      if (words.there.test(status)) there.add(id);
      if (status !== words.moving || progressDetail?.current === undefined) return;
      const { current, total = current } = progressDetail;
      bytes.set(id, { current, total: Math.max(current, total) });
      if (now() - told < EVERY_MS) return;
      told = now();
      log.line(`${words.moving.toLowerCase()}: ${sum('current')} of ${sum('total')}`);
    },
    layers: () => ({ all: moved.size + there.size, sent: moved.size }),
  };
}

/** A recorded conversation between hub and agent: one JSON line per event, in order. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A frame as sent on the wire, parsed. */
export interface Frame {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** What somebody did to one of the two ends, or time that passed there. */
export type Act = 'deploy' | 'cut' | 'time' | 'cancel' | 'rollback' | 'remove' | 'upgrade' | 'replace';

export type Line =
  | { readonly enrol: unknown; readonly answer: unknown }
  | { readonly connection: number }
  | { readonly act: Act }
  | { readonly hub: Frame }
  | { readonly agent: Frame };

/** Long enough for the agent to renew its leases, and shorter than the silence after which it disconnects, ms. */
export const TIME_THAT_PASSES_MS = 25_000;

const fixtureFolder = (version: number): string => join(import.meta.dirname, '../../fixtures/protocol', `v${version}`);

export const toLines = (values: readonly unknown[]): string =>
  values.map((value) => `${JSON.stringify(value)}\n`).join('');

/** The values of a fixture file, one per line. */
export const readLines = (version: number, file: string): unknown[] =>
  readFileSync(join(fixtureFolder(version), file), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

export const readConversation = (version: number): Line[] => readLines(version, 'conversation.jsonl') as Line[];

/** The test fails after this long, ms: far beyond what a loaded machine needs. */
const NEVER_MS = 30_000;

/** Resolves when `holds` returns true; each call of `look` checks it. */
interface Waiting {
  look(): void;
  until(what: string, holds: () => boolean): Promise<void>;
}

export function makeWaiting(): Waiting {
  const waiting = new Map<() => boolean, () => void>();
  return {
    look() {
      for (const [holds, done] of waiting) if (holds()) done();
    },
    until: (what, holds) =>
      new Promise((resolve, reject) => {
        const never = setTimeout(() => {
          waiting.delete(holds);
          reject(new Error(`It never came: ${what}.`));
        }, NEVER_MS);
        const done = (): void => {
          clearTimeout(never);
          waiting.delete(holds);
          resolve();
        };
        waiting.set(holds, done);
        if (holds()) done();
      }),
  };
}

/** Findings as files; each can be run again with `--replay FILE`. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

export const RequestCase = z.object({
  side: z.literal('request'),
  /** The client's bytes, latin1. */
  bytes: z.string(),
  /** Offsets at which they are split. */
  parts: z.array(z.int()),
});
export type RequestCase = z.infer<typeof RequestCase>;

export const ResponseCase = z.object({
  side: z.literal('response'),
  method: z.enum(['GET', 'HEAD', 'POST']),
  /** What the upstream sends, latin1. */
  bytes: z.string(),
  parts: z.array(z.int()),
  /** It responds before it has read the body of the request. */
  early: z.boolean(),
  /** What it does with the connection afterwards. */
  ending: z.enum(['stay', 'fin', 'reset']),
});
export type ResponseCase = z.infer<typeof ResponseCase>;

export const H2Case = z.object({
  side: z.literal('h2'),
  /** The client's frames after its settings, latin1. */
  bytes: z.string(),
  parts: z.array(z.int()),
  /** The frames are unchanged, as generated. */
  honest: z.boolean(),
});
export type H2Case = z.infer<typeof H2Case>;

export const FuzzCase = z.discriminatedUnion('side', [RequestCase, ResponseCase, H2Case]);
export type FuzzCase = z.infer<typeof FuzzCase>;

const Recording = z.object({ what: z.string(), engine: z.enum(['fast', 'http-proxy']), cases: z.array(FuzzCase) });
type Recording = z.infer<typeof Recording>;

/** Number of findings kept per kind; more of the same add nothing. */
const KEPT_PER_KIND = 5;

export class Findings {
  readonly #folder: string;
  readonly #kinds = new Map<string, number>();
  readonly files: string[] = [];

  constructor(folder: string) {
    this.#folder = folder;
  }

  get count(): number {
    return [...this.#kinds.values()].reduce((sum, count) => sum + count, 0);
  }

  /** Number of findings by kind. */
  get kinds(): Record<string, number> {
    return Object.fromEntries(this.#kinds);
  }

  /** @param kind a few words, the same for findings of the same kind */
  add(kind: string, what: string, engine: Recording['engine'], cases: readonly FuzzCase[]): void {
    const before = this.#kinds.get(kind) ?? 0;
    this.#kinds.set(kind, before + 1);
    if (before >= KEPT_PER_KIND) return;
    const text = JSON.stringify({ what: `${kind}: ${what}`, engine, cases: [...cases] } satisfies Recording);
    const digest = createHash('sha256').update(text).digest('hex').slice(0, 12);
    const file = join(this.#folder, `${kind.replaceAll(/[^a-z0-9]+/gi, '-')}-${digest}.json`);
    mkdirSync(this.#folder, { recursive: true });
    writeFileSync(file, text);
    this.files.push(file);
    console.log(`${kind}: ${what.slice(0, 300)}\n  ${file}`);
  }
}

export const readRecording = (file: string): Recording => Recording.parse(JSON.parse(readFileSync(file, 'utf8')));

/**
 * Which copy of a base image the registry has confirmed for its tag, and when. Kept in memory: after a restart of the
 * agent each tag is asked for again. By name, because several names may lead to one image.
 */
import type { Engine } from '../../lib/engine.ts';

/**
 * How long a confirmed copy counts as current, ms. A tag such as `node:26-trixie-slim` moves with every security fix.
 * Asking costs a build less than a second; the limit is for registries that count requests, or do not answer.
 */
const CURRENT_MS = 24 * 60 * 60_000;
/** A repository decides which names there are. */
const MAX_TAGS = 1000;

interface Confirmed {
  /** Id of the copy. */
  readonly id: string;
  /** Wall clock, ms since 1970. */
  readonly at: number;
}

export class AskedTags {
  readonly #confirmed = new Map<string, Confirmed>();
  readonly #now: () => number;

  /** @param now wall clock, ms since 1970 */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether `id` is the copy that the registry had for `name` within the last day. */
  isCurrent(engine: Engine, name: string, id: string): boolean {
    const confirmed = this.#confirmed.get(keyOf(engine, name));
    return confirmed?.id === id && this.#now() - confirmed.at < CURRENT_MS;
  }

  /** Records that the registry was just asked for `name`, and that the engine now has `id`. */
  confirm(engine: Engine, name: string, id: string): void {
    const key = keyOf(engine, name);
    this.#confirmed.delete(key);
    this.#confirmed.set(key, { id, at: this.#now() });
    const [oldest] = this.#confirmed.keys();
    if (this.#confirmed.size > MAX_TAGS && oldest !== undefined) this.#confirmed.delete(oldest);
  }
}

const keyOf = ({ socketPath }: Engine, name: string): string => `${socketPath} ${name}`;

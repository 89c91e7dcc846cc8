/** Parts of a read that wait for its reader: a bounded number of characters, and the count of lines left out. */
import { APP_LOG_CHUNK_CHARACTERS } from '../../protocol/app-log.ts';
import type { AppLogLine, AppLogPart } from '../../protocol/app-log.ts';

/** Number of waiting characters at which no more is accepted. */
const MOST_WAITING = 4 * APP_LOG_CHUNK_CHARACTERS;
/** What a line counts in addition to its text: an app may write empty lines without end. */
const LINE_CHARACTERS = 64;

interface Filling extends AppLogPart {
  readonly lines: AppLogLine[];
  leftOut: number;
  characters: number;
}

export class WaitingParts {
  readonly #parts: Filling[] = [];
  #characters = 0;
  #ended = false;
  #error: unknown;
  #wakeReader: (() => void) | undefined;
  #roomMade = Promise.withResolvers<void>();

  get isFull(): boolean {
    return this.#characters >= MOST_WAITING;
  }

  /** The log of a version begins. */
  begin(deploymentId: string): void {
    this.#open(deploymentId);
    this.#wakeReader?.();
  }

  add(deploymentId: string, line: AppLogLine): void {
    const characters = line.text.length + LINE_CHARACTERS;
    const last = this.#parts.at(-1);
    const goesOn = last?.deploymentId === deploymentId && last.characters + characters <= APP_LOG_CHUNK_CHARACTERS;
    const part = goesOn ? last : this.#open(deploymentId);
    part.lines.push(line);
    part.characters += characters;
    this.#characters += characters;
    this.#wakeReader?.();
  }

  /** Lines found no room. The number is reported in front of what follows, as one sum for all versions. */
  leaveOut(deploymentId: string, lines: number): void {
    const last = this.#parts.at(-1);
    const gap = last?.lines.length === 0 ? last : this.#open(deploymentId);
    gap.leftOut += lines;
    this.#wakeReader?.();
  }

  /** Resolves when there is room, or when nobody reads any more. */
  async room(): Promise<void> {
    while (this.isFull && !this.#ended) await this.#roomMade.promise;
  }

  /** Nothing more comes; the reader still gets what waits. */
  end(error?: unknown): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wakeReader?.();
    this.#makeRoom();
  }

  /** The next part; null at the end. @throws the error that the read ended with */
  async next(): Promise<AppLogPart | null> {
    while (this.#parts.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => (this.#wakeReader = resolve));
    }
    const part = this.#parts.shift();
    if (part !== undefined) {
      const { characters, ...rest } = part;
      this.#characters -= characters;
      this.#makeRoom();
      return rest;
    }
    if (this.#error !== undefined) throw this.#error;
    return null;
  }

  #open(deploymentId: string): Filling {
    const part = { deploymentId, leftOut: 0, lines: [], characters: 0 };
    this.#parts.push(part);
    return part;
  }

  #makeRoom(): void {
    this.#roomMade.resolve();
    this.#roomMade = Promise.withResolvers();
  }
}

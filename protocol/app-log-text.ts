/** Formats an app log as text: the app's lines as they are, notes of orkestr in brackets. Pure. */
import type { AppLogLine } from './app-log.ts';

/** What a log consists of, in the order of the hub's events. */
type AppLogPiece =
  | { readonly kind: 'version'; readonly deployment: string; readonly commit: string | null }
  | { readonly kind: 'lines'; readonly lines: readonly Pick<AppLogLine, 'at' | 'text'>[] }
  | { readonly kind: 'left-out'; readonly lines: number }
  | { readonly kind: 'end'; readonly error: { readonly message: string } | null };

export class AppLogText {
  readonly #known = new Set<string>();
  readonly #timestamps: boolean;

  /** @param timestamps prefix each line of the app with its time: UTC, as Docker records it */
  constructor({ timestamps = false }: { readonly timestamps?: boolean } = {}) {
    this.#timestamps = timestamps;
  }

  /** The lines of a piece. The first version gets no note; each later one gets one. */
  linesOf(piece: AppLogPiece): readonly string[] {
    if (piece.kind === 'version') return this.#version(piece.deployment, piece.commit);
    if (piece.kind === 'lines') {
      return piece.lines.map(({ at, text }) => (this.#timestamps ? `${at} ${text}` : text));
    }
    if (piece.kind === 'left-out') return [leftOutNote(piece.lines)];
    return piece.error === null ? [] : [`[orkestr: the log ends here. ${piece.error.message}]`];
  }

  #version(deployment: string, commit: string | null): readonly string[] {
    const isLater = this.#known.size > 0 && !this.#known.has(deployment);
    this.#known.add(deployment);
    return isLater ? [versionNote(deployment, commit)] : [];
  }
}

const versionNote = (deployment: string, commit: string | null): string =>
  `[orkestr: from here on ${commit === null ? '' : `version ${commit.slice(0, 7)}, `}deployment ${deployment}]`;

const leftOutNote = (lines: number): string =>
  `[orkestr: ${lines.toLocaleString('en')} ${lines === 1 ? 'line' : 'lines'} left out: the reader was too slow]`;

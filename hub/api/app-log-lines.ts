/**
 * Formats an app log as text: the app's lines as they are, notes of orkestr in brackets. Pure; shared by hub and CLI.
 */
import { appLogNotes } from '../../protocol/app-log-notes.ts';
import type { AppLogEvent } from './schemas.ts';

export class AppLogText {
  readonly #known = new Set<string>();
  readonly #timestamps: boolean;

  /** @param timestamps prefix each line of the app with its time: UTC, as Docker records it */
  constructor({ timestamps = false }: { readonly timestamps?: boolean } = {}) {
    this.#timestamps = timestamps;
  }

  /** The lines of an event. The first version gets no note; each later one gets one. */
  linesOf(event: AppLogEvent): readonly string[] {
    if (event.kind === 'version') return this.#version(event.deployment, event.commit);
    if (event.kind === 'lines') {
      return event.lines.map(({ at, text }) => (this.#timestamps ? `${at} ${text}` : text));
    }
    if (event.kind === 'left-out') return [appLogNotes.leftOut(event.lines)];
    return event.error === null ? [] : [`[orkestr: the log ends here. ${event.error.message}]`];
  }

  #version(deployment: string, commit: string | null): readonly string[] {
    const isLater = this.#known.size > 0 && !this.#known.has(deployment);
    this.#known.add(deployment);
    return isLater ? [appLogNotes.version(deployment, commit)] : [];
  }
}

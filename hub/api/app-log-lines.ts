/** An app log as lines of text: what the app wrote as it is, what orkestr has to say about it in brackets. Pure; hub and CLI share it. */
import { appLogNotes } from '../../protocol/app-log-notes.ts';
import type { AppLogEvent } from './schemas.ts';

export class AppLogText {
  readonly #known = new Set<string>();
  readonly #timestamps: boolean;

  /** @param timestamps of each line of the app when it was written, in front: UTC, as Docker stamps it */
  constructor({ timestamps = false }: { readonly timestamps?: boolean } = {}) {
    this.#timestamps = timestamps;
  }

  /** The lines of an event. The version that is read first needs no word; later ones are told once. */
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

/**
 * Writes what the commands of a build print, several at once, as one log. Output stands below the head line of its
 * command; while several commands run, each line is prefixed with its command, "[web 2/5] ".
 */
import type { StepLog } from '../../deployment/ports.ts';
import type { Vertex } from './build-status.ts';

export class CommandOutput {
  readonly #log: StepLog;
  /** Digests of commands with a head line. */
  readonly #announced = new Set<string>();
  readonly #ended = new Set<string>();
  /** Digest of the command whose head line or output came last. */
  #latest: string | null = null;
  #atLineStart = true;

  constructor(log: StepLog) {
    this.#log = log;
  }

  isAnnounced({ digest }: Vertex): boolean {
    return this.#announced.has(digest);
  }

  /** Writes the head line of a command. */
  announce({ digest, name }: Vertex, note = ''): void {
    this.#announced.add(digest);
    this.#latest = digest;
    this.#line(`${name}${note}`);
  }

  /** Writes a line about a command. */
  say(command: Vertex, text: string): void {
    this.#line(`${this.#introduce(command)}${text}`);
  }

  /** Writes output of a command, not necessarily whole lines. */
  write(command: Vertex, bytes: Buffer): void {
    const goesOn = !this.#atLineStart && this.#latest === command.digest;
    const prefix = goesOn ? '' : this.#introduce(command);
    if (!goesOn) this.#endLine();
    this.#log.write(prefix === '' ? bytes : Buffer.concat([Buffer.from(prefix), bytes]));
    this.#atLineStart = bytes.at(-1) === 0x0a;
    if (!this.#atLineStart) this.#latest = command.digest;
  }

  /** Writes a line that is about no command of the Dockerfile. */
  note(text: string): void {
    this.#latest = null;
    this.#line(text);
  }

  end({ digest }: Vertex): void {
    this.#ended.add(digest);
  }

  /** Attributes the next line to its command, by a head line above it or by a returned prefix. */
  #introduce(command: Vertex): string {
    if (!this.isAnnounced(command)) this.announce(command);
    if (!this.#isAlone(command)) {
      this.#latest = null;
      return `${prefixOf(command)} `;
    }
    if (this.#latest !== command.digest) this.announce(command, ' …');
    return '';
  }

  #isAlone({ digest }: Vertex): boolean {
    return [...this.#announced].every((other) => other === digest || this.#ended.has(other));
  }

  #line(text: string): void {
    this.#endLine();
    this.#atLineStart = true;
    this.#log.line(text);
  }

  #endLine(): void {
    if (!this.#atLineStart) this.#log.write(Buffer.from('\n'));
  }
}

/** "[web 2/5]" */
const prefixOf = ({ name }: Vertex): string => /^\[[^\]]*\]/.exec(name)?.[0] ?? '';

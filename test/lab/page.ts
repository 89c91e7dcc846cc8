/** A page of docs/ whose commands a test runs. The test must run every one, or names those left out. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../installer/stack/stack.ts';

export class Page {
  readonly name: string;
  readonly #left: Set<string>;

  constructor(name: string) {
    this.name = name;
    this.#left = new Set(commandsOf(readFileSync(join(ROOT, 'docs', `${name}.md`), 'utf8')));
  }

  /** @returns the same command, which then counts as run @throws Error if the page has no such command */
  take(command: string): string {
    if (!this.#left.delete(command)) throw new Error(`docs/${this.name}.md has no command "${command}" (any more)`);
    return command;
  }

  /** Commands that were not run. */
  get left(): readonly string[] {
    return [...this.#left];
  }
}

/** Lines of the blocks marked `sh`, without trailing comments. */
function commandsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)]
    .flatMap(([, block = '']) => block.split('\n'))
    .map((line) => line.replace(/ {2,}# .*$/, '').trim())
    .filter((line) => line !== '');
}

/** Our command lines in Markdown, and whether a command tree knows them. */
import type { Command } from 'commander';

/** Fenced shell blocks. */
const BLOCK = /^ *```(?:sh|console|bash)\n([^]*?)^ *```$/gm;
/** Fenced blocks of any kind. */
const ANY_BLOCK = /^ *```[^]*?^ *```$/gm;
/** Code in a sentence or a table, which may go on in the next line. */
const INLINE = /(?<!`)`([^`]+)`(?!`)/g;
/** The program of a line, or one after a pipe; `git push orkestr` names a remote. */
const OURS = /(?:^|[$|;&(]|\bsudo\b)\s*(orkestr(?:-agent|-hub)?)((?:\s.*)?)$/;

interface CommandLine {
  readonly program: string;
  /** Words up to a comment, pipe or redirection, as written; values in quotes are one word. */
  readonly words: readonly string[];
}

/** Command lines of `orkestr`, `orkestr-agent` and `orkestr-hub` in a page: in its shell blocks and in its sentences. */
export function commandLinesIn(markdown: string): CommandLine[] {
  const blocks = [...markdown.matchAll(BLOCK)].flatMap(([, text = '']) => text.replaceAll(/\\\n\s*/g, ' ').split('\n'));
  const inline = [...markdown.replaceAll(ANY_BLOCK, '').matchAll(INLINE)].map(([, text = '']) =>
    text.replaceAll(/\s+/g, ' '),
  );
  return [...blocks, ...inline].flatMap((line) => {
    const [, program, rest = ''] = OURS.exec(line.replace(/(?:^|\s)#.*$/, '')) ?? [];
    return program === undefined ? [] : [{ program, words: wordsOf(rest) }];
  });
}

function wordsOf(text: string): string[] {
  const words = text.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  const end = words.findIndex((word) => /^[|&;<>)]|^\d>/.test(word));
  return end === -1 ? words : words.slice(0, end);
}

/** Returns the first word that the tree does not know, a command or an option; null if it knows all. */
export function unknownWord(program: Command, words: readonly string[]): string | null {
  let command = program;
  let isNamed = true;
  for (const word of words) {
    if (word === '--') return null; // what follows belongs to another program
    const [name = ''] = word.split('=', 1);
    if (/^--?[a-z]/i.test(name)) {
      const known = ['--help', ...command.options.flatMap(({ long, short }) => [long, short])];
      if (!known.includes(name)) return name;
    } else if (isNamed && command.commands.length > 0) {
      const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (next) command = next;
      // Groups take no arguments.
      else if (command.registeredArguments.length === 0) return word;
      else isNamed = false;
    }
  }
  return null;
}

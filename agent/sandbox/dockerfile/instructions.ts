/**
 * The instructions of a Dockerfile, parsed like BuildKit (frontend/dockerfile/parser/parser.go), with the position of
 * each character, so that parts of an instruction can be replaced in the text.
 */
import { refused } from './refused.ts';

export interface Instruction {
  /** Upper case. */
  readonly name: string;
  /** The rest of the instruction, with continuation lines joined. */
  readonly words: string;
  /** Number of the first line, from 1. */
  readonly line: number;
  /** Position in the text of each character of `words`. */
  readonly offsets: readonly number[];
  /** Names of the here-documents that it starts. */
  readonly hereDocuments: readonly string[];
}

interface Line {
  readonly text: string;
  readonly offset: number;
  readonly number: number;
}

/**
 * @param hereDocuments whether the engine supports them; if not, parses their text as instructions, as the engine would
 * @throws OrkestrError ORK_DOCKERFILE_REFUSED for text that engines of different versions parse differently
 */
export function readInstructions(text: string, escape: string, hereDocuments: boolean): Instruction[] {
  const found: Instruction[] = [];
  const lines = linesOf(text);
  for (const line of lines) {
    if (isBlankOrComment(line.text)) continue;
    const instruction = readOne(line, lines, escape);
    found.push(instruction);
    if (!hereDocuments) continue;
    if (instruction.hereDocuments.length > 0 && escape !== '\\') {
      throw refused('Here-documents and another escape character do not go together', instruction.line);
    }
    for (const name of instruction.hereDocuments) skipHereDocument(name, lines);
  }
  return found;
}

/** An iterator shared by several consumers: each line is read once. */
interface Lines extends Iterable<Line> {
  next(): Line | undefined;
}

function linesOf(text: string): Lines {
  const all = text.split('\n');
  let [index, offset] = [0, 0];
  const next = (): Line | undefined => {
    const line = all[index];
    if (line === undefined) return undefined;
    const found = { text: line, offset, number: index + 1 };
    index += 1;
    offset += line.length + 1;
    return found;
  };
  return {
    next,
    *[Symbol.iterator]() {
      for (let line = next(); line !== undefined; line = next()) yield line;
    },
  };
}

/** Go's definition of a space (unicode.IsSpace), which differs from JavaScript's. */
const LEADING_SPACE = /^[\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]*/;
const withoutIndent = (line: string): string => line.replace(LEADING_SPACE, '');
const isBlankOrComment = (line: string): boolean => /^(?:#|$)/.test(withoutIndent(line));

/** Reads an instruction, consuming the lines of `rest` that continue `first`. */
function readOne(first: Line, rest: Lines, escape: string): Instruction {
  const text: string[] = [];
  const offsets: number[] = [];
  const take = (line: Line, from: number): boolean => {
    const goesOn = continues(line, escape);
    const end = goesOn ? line.text.lastIndexOf(escape) : line.text.length;
    for (let index = from; index < end; index += 1) {
      text.push(line.text[index] ?? '');
      offsets.push(line.offset + index);
    }
    return goesOn;
  };
  let goesOn = take(first, first.text.length - withoutIndent(first.text).length);
  while (goesOn) {
    const next = rest.next();
    if (next === undefined) break;
    if (!isBlankOrComment(next.text)) goesOn = take(next, 0);
  }
  const whole = text.join('');
  const name = /^\S+\s*/.exec(whole)?.[0] ?? '';
  const words = whole.slice(name.length).trimEnd();
  return {
    name: name.trim().toUpperCase(),
    words,
    line: first.number,
    offsets: offsets.slice(name.length, name.length + words.length),
    hereDocuments: /^(?:RUN|COPY|ADD)\s/i.test(whole) ? hereDocumentsOf(words) : [],
  };
}

function continues({ text, number }: Line, escape: string): boolean {
  const end = text.slice(0, endOf(text));
  if (!end.endsWith(escape)) return false;
  // Older parsers continue the line, newer ones do not (moby/buildkit#4351): instructions would depend on the engine.
  if (end.endsWith(escape + escape))
    throw refused(`It ends with ${escape}${escape}, which engines read differently`, number);
  return true;
}

/** Start of trailing spaces and tabs; BuildKit trims no others. A regular expression would take quadratic time. */
function endOf(text: string): number {
  let end = text.length;
  while (end > 0 && (text[end - 1] === ' ' || text[end - 1] === '\t')) end -= 1;
  return end;
}

/** Words of the form `<<EOF`, `<<-"EOF"`, `3<<EOF`, outside of quotes. */
function hereDocumentsOf(words: string): string[] {
  const shellWords = words.match(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])+/g) ?? [];
  return shellWords.flatMap((word) => {
    const [, chomp, name = ''] = /^\d*<<(-?)([^<]+)$/.exec(word) ?? [];
    const plain = name.replaceAll(/["'\\]/g, '');
    return plain === '' ? [] : [`${chomp}${plain}`];
  });
}

/** Skips to the line that equals the name. A dash before the name means that the line may start with tabs. */
function skipHereDocument(name: string, lines: Lines): void {
  const chomp = name.startsWith('-');
  const end = chomp ? name.slice(1) : name;
  for (const line of lines) {
    if ((chomp ? line.text.replace(/^\t+/, '') : line.text) === end) return;
  }
}

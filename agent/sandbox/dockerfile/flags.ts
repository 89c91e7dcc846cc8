/** The `--name=value` words at the start of an instruction, parsed like BuildKit (parser/split_command.go). */
import type { OrkestrError } from '../../../protocol/errors.ts';
import { refused } from './refused.ts';

export interface Flag {
  readonly name: string;
  /** Without quotes and escapes; empty for a flag without a value. */
  readonly value: string;
  /** Start and end (exclusive) in the instruction's words. */
  readonly start: number;
  readonly end: number;
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED for characters that BuildKit, which reads bytes, takes for spaces */
export function flagsOf(words: string): Flag[] {
  const flags: Flag[] = [];
  for (let at = 0; ;) {
    const start = skipBlanks(words, at);
    if (/^[\s\u0085]/.test(words.slice(start))) throw unreadable();
    if (!words.startsWith('--', start)) return flags;
    const { word, end } = readWord(words, start);
    if (word === '--') return flags;
    const equals = word.indexOf('=');
    flags.push({
      name: (equals === -1 ? word : word.slice(0, equals)).slice(2).toLowerCase(),
      value: equals === -1 ? '' : word.slice(equals + 1),
      start,
      end,
    });
    at = end;
  }
}

/** A flag in Dockerfile syntax, with quotes, backslashes and spaces escaped. */
export const writeFlag = (name: string, value: string): string =>
  `--${name}=${value.replaceAll(/["'\\\s]/g, (character) => `\\${character}`)}`;

const BLANK = /[\t\n\v\f\r ]/;
const unreadable = (): OrkestrError => refused('A flag has other characters than those of ASCII');

function skipBlanks(words: string, from: number): number {
  let at = from;
  while (at < words.length && BLANK.test(words[at] ?? '')) at += 1;
  return at;
}

function readWord(words: string, start: number): { readonly word: string; readonly end: number } {
  let word = '';
  let quote = '';
  let at = start;
  for (; at < words.length; at += 1) {
    let character = words[at] ?? '';
    if (quote === '' && BLANK.test(character)) break;
    if (!/[\t\n\x20-\x7e]/.test(character)) throw unreadable();
    if (character === quote) {
      quote = '';
      continue;
    }
    if (quote === '' && (character === '"' || character === "'")) {
      quote = character;
      continue;
    }
    if (character === '\\') {
      at += 1;
      character = words[at] ?? '';
    }
    word += character;
  }
  return { word, end: at };
}

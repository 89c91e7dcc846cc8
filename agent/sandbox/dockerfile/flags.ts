/** The `--name=value` words in front of an instruction's own, read as BuildKit does (parser/split_command.go). */
import type { OrkestrError } from '../../../protocol/errors.ts';
import { refused } from './refused.ts';

export interface Flag {
  readonly name: string;
  /** Without quotes and escapes; empty for a flag without value. */
  readonly value: string;
  /** Where it begins and ends (exclusive) in the instruction's words. */
  readonly start: number;
  readonly end: number;
}

/** @throws OrkestrError ORK_DOCKERFILE_REFUSED for characters that BuildKit, which reads bytes, would take for spaces */
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

/** A flag as it can stand in a Dockerfile: what would end or change the word is escaped. */
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

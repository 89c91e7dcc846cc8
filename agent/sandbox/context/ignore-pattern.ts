/**
 * .dockerignore patterns, with Docker's semantics (moby/patternmatcher). Matched part by part, never by a regular
 * expression: patterns and names come from the repository, and no combination may take exponential time.
 */
import { posix } from 'node:path';

interface IgnorePattern {
  /** Starts with `!`: includes again what it matches. */
  readonly isException: boolean;
  /** Whether it matches a path, given as its parts, or one of its parent folders. */
  fits(parts: readonly string[]): boolean;
}

/** All patterns of a file in order: the last match decides. */
export function ignorePatterns(text: string): IgnorePattern[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  return lines.flatMap((line) => (line.startsWith('#') ? [] : patternIn(line.trim())));
}

function patternIn(line: string): IgnorePattern[] {
  const isException = line.startsWith('!');
  const written = isException ? line.slice(1).trim() : line;
  if (written === '') return [];
  const path = posix.normalize(written).replace(/^\/(?=.)|(?<=.)\/$/g, '');
  const parts = path.split('/').flatMap(readPart);
  return [{ isException, fits: (names) => fitsPath(parts, names) }];
}

/** Any number of folders. */
const DEEP = Symbol('**');
/** Any number of characters of one name. */
const STAR = Symbol('*');
type Part = typeof DEEP | ((name: string) => boolean);
type Piece = typeof STAR | ((character: string) => boolean);

/** `**` matches folders; next to other characters (`**.log`, `logs**`) it also matches part of the name. */
function readPart(part: string, index: number, all: readonly string[]): Part[] {
  if (part === '**') return [DEEP];
  if (part.startsWith('**')) return [DEEP, readName(part)];
  return part.endsWith('**') && index < all.length - 1 ? [readName(part), DEEP] : [readName(part)];
}

function readName(part: string): (name: string) => boolean {
  if (!/[*?[\\]/.test(part)) return (name) => name === part;
  const pieces = piecesOf(part);
  return (name) => fitsName(pieces, name);
}

/** `*`, `?`, a set like `[a-z]` or `[^a-z]`, an escaped character, or any other character, which matches itself. */
const PIECES = /\*+|\?|\[(\^?)((?:\\.|[^\]\\]){1,255})\]|\\?(.)/gs;

function piecesOf(part: string): Piece[] {
  return [...part.matchAll(PIECES)].map(([piece, not, set, character]) => {
    if (piece.startsWith('*')) return STAR;
    if (piece === '?') return () => true;
    if (set === undefined) return (one) => one === character;
    const isIn = readSet(set);
    return (one) => isIn(one) !== (not === '^');
  });
}

function readSet(set: string): (character: string) => boolean {
  const ranges = [...set.matchAll(/\\?(.)(?:-\\?(.))?/gs)].map(([, from = '', to = from]) => [from, to] as const);
  return (character) => ranges.some(([from, to]) => from <= character && character <= to);
}

/** On a mismatch, only the last star takes one more character: extending an earlier one would not help. */
function fitsName(pieces: readonly Piece[], name: string): boolean {
  let [at, next] = [0, 0];
  let [star, starAt] = [-1, 0];
  while (at < name.length) {
    const piece = pieces[next];
    if (piece === STAR) {
      [star, starAt] = [next, at];
      next += 1;
    } else if (piece?.(name[at] ?? '') === true) {
      at += 1;
      next += 1;
    } else if (star !== -1) {
      starAt += 1;
      [at, next] = [starAt, star + 1];
    } else return false;
  }
  return pieces.slice(next).every((piece) => piece === STAR);
}

/** The same algorithm on names instead of characters. Done as soon as the pattern is. */
function fitsPath(parts: readonly Part[], names: readonly string[]): boolean {
  let [at, next] = [0, 0];
  let [deep, deepAt] = [-1, 0];
  for (;;) {
    const part = parts[next];
    const name = names[at];
    if (part === undefined) return true;
    if (part === DEEP) {
      if (next === parts.length - 1) return name !== undefined;
      [deep, deepAt] = [next, at];
      next += 1;
    } else if (name !== undefined && part(name)) {
      at += 1;
      next += 1;
    } else if (deep !== -1 && deepAt < names.length) {
      deepAt += 1;
      [at, next] = [deepAt, deep + 1];
    } else return false;
  }
}

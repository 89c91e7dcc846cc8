/** Parses the values of options of `logs --app`. */
import { InvalidArgumentError } from 'commander';
import { Ago, MAX_TAIL_LINES } from '../../protocol/app-log.ts';

/** @throws InvalidArgumentError which commander shows with the option's name */
export function linesOf(text: string): number {
  const lines = Number(text);
  if (Number.isInteger(lines) && lines >= 0 && lines <= MAX_TAIL_LINES) return lines;
  throw new InvalidArgumentError(`A whole number, at most ${MAX_TAIL_LINES}.`);
}

/** @throws InvalidArgumentError */
export function agoOf(text: string): string {
  if (Ago.safeParse(text).success) return text;
  throw new InvalidArgumentError('A number with s, m, h or d, such as 10m.');
}

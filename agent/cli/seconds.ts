/** Parses a time limit given as an option. */
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError which commander shows with the option's name */
export function secondsOf(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 600)) throw new InvalidArgumentError('Seconds, at most 600.');
  return seconds;
}

/** Refuses bodies whose declared length is too large. The engines count the bytes of those without a length. */
import type { EdgeSettings } from '../../protocol/edge.ts';
import { BODY_TOO_LARGE, pageAnswer } from '../http/pages.ts';
import type { Check } from './compile.ts';

/** 413 for a declared length above `maxBodyBytes`. @returns null: there is no limit */
export function makeBodyCheck({ maxBodyBytes, errorPages }: EdgeSettings): Check | null {
  if (maxBodyBytes === 0) return null;
  return (asked) =>
    asked.contentLength !== null && asked.contentLength > maxBodyBytes
      ? pageAnswer(BODY_TOO_LARGE, asked.header('accept'), errorPages)
      : null;
}

/** Formats a message as plain text. */
import type { Message, LinkedNotice } from './notice.ts';

/** One line, as for a subject. */
export function titleOf({ notices, leftOut }: Message): string {
  const more = notices.length + leftOut - 1;
  return `${notices[0]?.summary ?? ''}${more > 0 ? `, and ${more} more` : ''}`;
}

/**
 * The message in at most `limit` characters; notices that do not fit are counted.
 * @param escape neutralizes external text for the output format
 */
export function textOf(
  { notices, leftOut }: Message,
  limit: number,
  escape: (text: string) => string = (text) => text,
): string {
  const blocks: string[] = [];
  let left = limit - LAST_LINE;
  for (const notice of notices) {
    // The first notice is always included, truncated if necessary.
    const block = linesOf(notice, escape)
      .join('\n')
      .slice(0, limit - LAST_LINE);
    if (block.length + SEPARATOR.length > left && blocks.length > 0) break;
    left -= block.length + SEPARATOR.length;
    blocks.push(block);
  }
  const more = notices.length - blocks.length + leftOut;
  return [...blocks, ...(more > 0 ? [`… and ${more} more: the console has them all.`] : [])].join(SEPARATOR);
}

const SEPARATOR = '\n\n';
/** Room for the line that counts the rest. */
const LAST_LINE = 80;

function linesOf({ summary, error, deployment, url }: LinkedNotice, escape: (text: string) => string): string[] {
  return [
    escape(summary),
    ...(error === null ? [] : [escape(`${error.code}: ${error.message}`), `What to do: ${escape(error.mend)}`]),
    ...(deployment === null ? [] : [escape(`Commit ${deployment.commit.slice(0, 10)} of ${deployment.branch}`)]),
    url,
  ];
}

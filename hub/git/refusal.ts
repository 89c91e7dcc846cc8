/** Error responses of the git remote. */
import type { ServerResponse } from 'node:http';
import { OrkestrError } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { RETRY_AFTER } from '../concurrency-limit.ts';
import { storeTrouble } from '../store/database.ts';

/** Plain text: git shows it to its user as `remote: ...`. */
export function refuse(log: Logger, response: ServerResponse, cause: unknown): void {
  const error = storeTrouble(cause) ?? cause;
  const known = error instanceof OrkestrError && error.code !== 'ORK_INTERNAL' ? error : undefined;
  if (known === undefined) log.error({ err: error }, 'a git request failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const status = known?.kind.status ?? 500;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    ...(status === 401 ? { 'www-authenticate': 'Basic realm="orkestr", charset="UTF-8"' } : {}),
    ...(status === 429 ? { 'retry-after': RETRY_AFTER } : {}),
    // The rest of the body is not read, so the connection ends with the answer.
    connection: 'close',
  });
  response.end(
    `${known === undefined ? 'Something went wrong in the hub; see its log.' : `${known.message} ${known.kind.mend}`}\n`,
  );
}

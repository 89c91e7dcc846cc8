/** Git LFS: the hub stores no LFS files, and says so in a form that the LFS client shows to the pusher. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const PATH = /^\/git\/[^/]+\/info\/lfs\//;
const MESSAGE =
  'orkestr keeps no files of Git LFS. Put them into git itself (git lfs migrate export --everything --include="*"), or push their pointers alone, which is then all that a build has of them: GIT_LFS_SKIP_PUSH=1 git push';

export const isLfs = ({ url = '' }: IncomingMessage): boolean => PATH.test(url);

/** Errors of the LFS API are JSON; 404 also tells the client that locking is unsupported. Same answer for everyone. */
export function refuseLfs(response: ServerResponse): void {
  // The body is not read, so the connection ends with the answer.
  response.writeHead(404, { 'content-type': 'application/vnd.git-lfs+json', connection: 'close' });
  response.end(`${JSON.stringify({ message: MESSAGE })}\n`);
}

/** Git LFS: the hub keeps none of its files, and says so where its client shows it to whoever pushes. */
import type { IncomingMessage, ServerResponse } from 'node:http';

const PATH = /^\/git\/[^/]+\/info\/lfs\//;
const MESSAGE =
  'orkestr keeps no files of Git LFS. Put them into git itself (git lfs migrate export --everything --include="*"), or push their pointers alone, which is then all that a build has of them: GIT_LFS_SKIP_PUSH=1 git push';

export const isLfs = ({ url = '' }: IncomingMessage): boolean => PATH.test(url);

/** Errors of the LFS API are JSON; of 404 its client also knows that there are no locks. Says the same to everybody. */
export function refuseLfs(response: ServerResponse): void {
  // The body is not read: the connection ends with the answer.
  response.writeHead(404, { 'content-type': 'application/vnd.git-lfs+json', connection: 'close' });
  response.end(`${JSON.stringify({ message: MESSAGE })}\n`);
}

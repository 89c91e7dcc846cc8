/** Parses requests to the git remote: the three smart endpoints only, no dumb protocol. */
import type { IncomingMessage } from 'node:http';
import { OrkestrError } from '../../protocol/errors.ts';

type GitService = 'git-upload-pack' | 'git-receive-pack';

export interface GitRequest {
  /** Slug or id. */
  readonly project: string;
  readonly service: GitService;
  readonly endpoint: 'info/refs' | GitService;
}

const PATH = /^\/git\/([a-z0-9][a-z0-9-]{0,63})\.git\/(info\/refs|git-upload-pack|git-receive-pack)$/;

/** @throws OrkestrError ORK_NOT_FOUND */
export function readGitRequest(request: Pick<IncomingMessage, 'url' | 'method'>): GitRequest {
  const [path = '', query = ''] = (request.url ?? '').split('?', 2);
  const [, project, endpoint] = PATH.exec(path) ?? [];
  const service = endpoint === 'info/refs' ? new URLSearchParams(query).get('service') : endpoint;
  const method = endpoint === 'info/refs' ? 'GET' : 'POST';
  if (project !== undefined && isService(service) && request.method === method) {
    return { project, service, endpoint: endpoint === 'info/refs' ? endpoint : service };
  }
  throw new OrkestrError('ORK_NOT_FOUND', 'Only git repositories are served here, over the smart protocol.');
}

const isService = (text: string | null | undefined): text is GitService =>
  text === 'git-upload-pack' || text === 'git-receive-pack';

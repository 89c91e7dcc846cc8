/** Translates a request to the git remote into CGI variables for git http-backend. */
import type { IncomingMessage } from 'node:http';
import type { Access } from './access.ts';
import type { GitRequest } from './request.ts';

/**
 * RFC 3875 section 4.1, plus the variables of git-http-backend(1). Nothing else of the request is passed on. The body
 * is passed decompressed.
 * CONTENT_LENGTH is omitted on purpose: with it, the backend spins forever when the hub dies in the middle of a body
 * (git 2.39 takes the end of input for an empty read). Without it, the end of input ends the request.
 */
export function cgiVariables(request: IncomingMessage, wanted: GitRequest, access: Access): Record<string, string> {
  const { headers, socket, method = 'GET' } = request;
  const optional = {
    GIT_PROTOCOL: /^version=[0-9]$/.exec(String(headers['git-protocol']))?.[0],
    REMOTE_ADDR: socket.remoteAddress,
    REMOTE_USER: access.push?.userId,
  };
  return {
    GATEWAY_INTERFACE: 'CGI/1.1',
    SERVER_PROTOCOL: 'HTTP/1.1',
    REQUEST_METHOD: method,
    GIT_PROJECT_ROOT: access.root,
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${access.projectId}.git/${wanted.endpoint}`,
    QUERY_STRING: wanted.endpoint === 'info/refs' ? `service=${wanted.service}` : '',
    CONTENT_TYPE: wanted.endpoint === 'info/refs' ? '' : `application/x-${wanted.service}-request`,
    ...Object.fromEntries(
      Object.entries(optional).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])),
    ),
  };
}

/** A request to the git remote as git http-backend reads it. */
import type { IncomingMessage } from 'node:http';
import type { Access } from './access.ts';
import type { GitRequest } from './request.ts';

/**
 * RFC 3875 section 4.1, and what git-http-backend(1) reads beside it. Nothing of the request but these is passed on. The
 * body comes unpacked.
 * CONTENT_LENGTH is left out on purpose: with it the backend spins for ever when the hub dies in the middle of a body
 * (git 2.39 takes the end of input for an empty read); without it the end of input is the end of the request.
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

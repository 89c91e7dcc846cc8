/** The app that the clients use: the bench's app, plus pages for a browser and a git repository. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { serveByBackend } from '../../../../hub/git/backend.ts';
import { runApp } from '../../../bench/cutover/app/run.ts';

/** Delay before each response to git, ms, so that flips fall between the requests of one clone. */
const GIT_PAUSE_MS = 100;

/** Uses every way a page has to make requests, until told to stop; `seen` holds the results. */
const PAGE = (version: string): string => `<!doctype html>
<meta charset="utf-8"><title>version ${version}</title><link rel="icon" href="data:,">
<script>
const seen = { fetch: {}, events: {}, socket: {}, faults: [], closeCodes: {} };
const count = (of, key) => { of[key] = (of[key] ?? 0) + 1; };
let on = true;
async function fetchAll() {
  for (let n = 0; on; n += 1) {
    try {
      const body = n % 3 === 2 ? 'x'.repeat(n * 50) : undefined;
      const answer = body === undefined ? await fetch('/parts/20000/4/5?' + n) : await fetch('/hash', { method: 'POST', body });
      const text = await answer.arrayBuffer();
      if (answer.status !== 200) seen.faults.push('fetch: HTTP ' + answer.status);
      if (text.byteLength !== (body === undefined ? 20000 : 64)) seen.faults.push('fetch: ' + text.byteLength + ' bytes');
      count(seen.fetch, answer.headers.get('x-version'));
    } catch (error) { seen.faults.push('fetch: ' + error); }
  }
}
const events = new EventSource('/events');
events.onmessage = ({ data }) => count(seen.events, data.split(' ')[1]);
function openSocket() {
  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/socket');
  socket.onmessage = ({ data }) => { count(seen.socket, data.split(' ')[1]); if (data.startsWith('version')) socket.send(data); };
  socket.onclose = ({ code }) => { if (on) { count(seen.closeCodes, code); openSocket(); } };
  window.stop = () => { on = false; events.close(); socket.close(); };
}
openSocket();
const fetching = fetchAll();
</script>`;

const GIT_ENV = { PATH: process.env['PATH'] ?? '', GIT_HTTP_EXPORT_ALL: '1', GIT_CONFIG_NOSYSTEM: '1' };

async function git(version: string, root: string, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const [path = '', query = ''] = (req.url ?? '').split('?', 2);
  await pause(GIT_PAUSE_MS);
  res.setHeader('x-version', version);
  const env = {
    ...GIT_ENV,
    GIT_PROJECT_ROOT: root,
    PATH_INFO: path,
    QUERY_STRING: query,
    REQUEST_METHOD: req.method ?? 'GET',
    CONTENT_TYPE: req.headers['content-type'] ?? '',
    GIT_PROTOCOL: String(req.headers['git-protocol'] ?? ''),
    HTTP_CONTENT_ENCODING: req.headers['content-encoding'] ?? '',
  };
  await serveByBackend(req, res, { env });
}

const [, , repositories = ''] = process.argv;
runApp((version) => ({
  page: (_req, res) =>
    void res.writeHead(200, { 'content-type': 'text/html', 'x-version': version }).end(PAGE(version)),
  'repository.git': (req, res) => git(version, repositories, req, res),
}));

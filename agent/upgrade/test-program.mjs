// Agent and proxy of the small releases of test-host.ts: they answer the requests of an upgrade, and nothing else.
import { spawn } from 'node:child_process';
import { readFileSync, renameSync } from 'node:fs';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

const facts = JSON.parse(readFileSync(new URL('facts.json', import.meta.url), 'utf8'));
const { version, flaw, agentSocket, proxySocket } = facts;
const [name, command] = process.argv.slice(2);

/** Takes over the socket's name from its holder, as the proxy's successor does. */
function serve(socket, answer) {
  const server = createServer((request, response) => {
    const say = (body, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
      response.end(JSON.stringify(body));
    };
    answer(request, say);
  });
  const own = `${socket}.${process.pid}`;
  server.listen(own, () => {
    renameSync(own, socket);
    process.send?.('serving');
  });
}

function trial() {
  if (flaw === 'trial-ends') process.exit(9);
  const ok = flaw !== 'trial-fails';
  const checks = [{ name: 'journal', ok, told: ok ? 'fine' : 'The journal has schema 9, this agent knows up to 2.' }];
  console.log(JSON.stringify({ version, ok, checks }));
  process.exitCode = ok ? 0 : 1;
}

function agent() {
  if (flaw === 'agent-ends') process.exit(3);
  const says = flaw === 'agent-other-version' ? '0.0.1' : version;
  const view = { version: says, hostId: 'h', pid: process.pid, since: '', hub: null, deployments: [], recent: [] };
  serve(agentSocket, (_request, say) => say({ ...view, outbox: 0 }));
}

function proxy() {
  let asked = 0;
  if (flaw === 'proxy-ends') process.exit(4);
  serve(proxySocket, (request, say) => {
    if (flaw === 'proxy-stumbles' && (asked += 1) % 2 === 1) return request.socket.destroy();
    if (request.url !== '/v1/hand-over') return say({ ok: true, version });
    return json(request).then(({ execPath, args }) => handOver(execPath, args, say));
  });
}

function handOver(execPath, args, say) {
  const child = spawn(execPath, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  child.once('message', () => {
    say({ pid: child.pid });
    child.disconnect();
    setTimeout(() => process.exit(0), 50);
  });
  child.once('exit', (code) => {
    const detail = `The successor failed to start serving: it ended with code ${code}.`;
    const problem = { type: '', title: '', status: 500, fault: 'host', retry: true, mend: '', evidence: [] };
    say({ ...problem, code: 'ORK_PROXY_HAND_OVER', detail }, 500);
  });
}

if (command === '--version') console.log(version);
else if (command === 'trial') trial();
else if (name === 'orkestr-agent') agent();
else proxy();

/** Sits between an agent and a hub, and records what passes. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { WebSocket, WebSocketServer } from 'ws';
import type { Line } from './conversation.ts';

interface Relay {
  readonly url: string;
  readonly lines: Line[];
  /** Disconnects the agent. */
  cut(): void;
  close(): Promise<void>;
}

export async function startRelay(hubUrl: string): Promise<Relay> {
  const lines: Line[] = [];
  let connections = 0;
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(hubUrl + (request.url ?? ''), { method: 'POST', headers, body });
    const answered = await answer.text();
    lines.push({ enrol: JSON.parse(body), answer: JSON.parse(answered) });
    response.writeHead(answer.status, headers).end(answered);
  };
  const server = createServer((request, response) => void pass(request, response));
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (agent, request) => {
    lines.push({ connection: (connections += 1) });
    const hub = new WebSocket(hubUrl.replace('http', 'ws') + (request.url ?? ''));
    const write = (from: 'hub' | 'agent', to: WebSocket, data: Buffer): void => {
      const frame = JSON.parse(data.toString('utf8'));
      lines.push(from === 'hub' ? { hub: frame } : { agent: frame });
      to.send(data.toString('utf8'));
    };
    hub.on('message', (data: Buffer) => write('hub', agent, data));
    agent.on('message', (data: Buffer) => write('agent', hub, data));
    agent.on('close', () => hub.terminate());
    hub.on('close', () => agent.terminate());
    for (const socket of [agent, hub]) socket.on('error', () => socket.terminate());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lines,
    cut() {
      for (const client of sockets.clients) client.terminate();
    },
    async close() {
      for (const client of sockets.clients) client.terminate();
      server.close();
      await once(server, 'close');
    },
  };
}

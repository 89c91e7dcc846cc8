/** Admin calls to a proxy in this process, over its socket. */
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { FlipReceipt } from '../../../protocol/proxy-admin.ts';
import type { UpstreamEntry } from '../../../protocol/proxy-admin.ts';
import { entryFor, uuid } from './harness.ts';
import type { Edge } from './harness.ts';

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
}

/** One call of the admin API. */
export function call(edge: Edge, method: string, path: string, body?: object, signal?: AbortSignal): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request({ socketPath: edge.adminSocket, method, path, agent: false, signal }, (res) => {
      let text = '';
      res.setEncoding('utf8').on('data', (part: string) => (text += part));
      res.on('error', reject);
      res.on('end', () => {
        const isJson = String(res.headers['content-type']).includes('json');
        const body = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
        resolve({ status: res.statusCode ?? 0, text, body });
      });
    });
    req.on('error', reject);
    req.end(body && JSON.stringify(body));
  });
}

/** Flips to the next generation, on a separate target. @returns the proxy's answer */
export async function flip(edge: Edge, generation: number, port: number, changes: Partial<UpstreamEntry> = {}) {
  const targets = [{ id: uuid(1000 + generation), address: '127.0.0.1', port }];
  const entry = entryFor(port, { generation, targets, ...changes });
  const answer = await call(edge, 'POST', '/v1/flip', { entry, expectedGeneration: generation - 1 });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

export const flipBack = (edge: Edge, generation: number, targetNumber: number) =>
  call(edge, 'POST', '/v1/flip-back', {
    upstreamId: uuid(1),
    expectedGeneration: generation,
    targetId: uuid(targetNumber),
  });

export async function receiptOf(edge: Edge): Promise<FlipReceipt> {
  return FlipReceipt.parse((await call(edge, 'GET', `/v1/upstreams/${uuid(1)}/receipt`)).body);
}

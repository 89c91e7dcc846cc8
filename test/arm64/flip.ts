/** The emulated proxy, flipped from one version of an app to the next and replaced by its successor, under requests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, createServer, get } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { FlipRequest } from '../../protocol/proxy-admin.ts';
import { EdgeProcess } from '../harness/edge-process.ts';
import type { Subject } from './subject.ts';

const HOST = 'app.localhost';
const CLIENTS = 8;
/** Responses to wait for before, between and after the changes. */
const ANSWERS = 200;

/** First the flip and a drain of the old version, then the proxy's own successor, all under the same load. */
export async function flip({ plan, host, state }: Subject): Promise<string> {
  const argv = host.argv('orkestr-proxy', 'serve');
  const edge = await EdgeProcess.start({ name: 'proxy', folder: join(state, 'edge'), engine: 'fast', argv });
  const apps = [await startApp('old'), await startApp('new')] as const;
  const agent = new Agent({ keepAlive: true });
  const answers: string[] = [];
  const asking = new AbortController();
  let successor: number | null = null;
  const client = async (): Promise<void> => {
    while (!asking.signal.aborted) answers.push(await answerOf(edge.port, agent));
  };
  const more = async (): Promise<void> => {
    const wanted = answers.length + ANSWERS;
    while (answers.length < wanted) await delay(5);
  };
  try {
    await edge.flip(flipTo(apps, 0));
    const clients = Array.from({ length: CLIENTS }, client);
    await more();
    await edge.flip(flipTo(apps, 1));
    const { forced } = await edge.drain(DRAIN);
    await more();
    successor = await edge.handOver({ execPath: join(plan.unpacked, 'bin/orkestr-proxy'), args: ['serve'] });
    await more();
    asking.abort();
    await Promise.all(clients);
    // A new connection: kept ones may still belong to the old process.
    answers.push(await answerOf(edge.port, false));
    const count = (answer: string): number => answers.filter((one) => one === answer).length;
    assert.deepEqual([...new Set(answers)].toSorted(), ['200 new', '200 old']);
    assert.equal(answers.at(-1), '200 new');
    assert.equal(forced, 0);
    return `${count('200 old')} answers of the old version, ${count('200 new')} of the new, none failed`;
  } finally {
    asking.abort();
    agent.destroy();
    for (const app of apps) app.close();
    if (successor !== null) process.kill(successor);
    await edge.stop();
  }
}

const UPSTREAM = '01a00000-0000-7000-8000-000000000000';
const TARGETS = ['01a00000-0000-7000-8000-000000000001', '01a00000-0000-7000-8000-000000000002'] as const;

const DRAIN = {
  upstreamId: UPSTREAM,
  targetId: TARGETS[0],
  deadlineSeconds: 10,
  streamDeadlineSeconds: 0,
  spreadSeconds: 0,
};

const flipTo = (apps: readonly [Server, Server], index: 0 | 1): FlipRequest =>
  FlipRequest.parse({
    expectedGeneration: index,
    entry: {
      id: UPSTREAM,
      generation: index + 1,
      targets: [{ id: TARGETS[index], address: '127.0.0.1', port: (apps[index].address() as AddressInfo).port }],
      routes: [{ host: HOST }],
    },
  });

async function startApp(greeting: string): Promise<Server> {
  const app = createServer((_req, res) => res.end(greeting)).listen(0, '127.0.0.1');
  await once(app, 'listening');
  return app;
}

/** The status and body of the response, or why there is none. */
function answerOf(port: number, agent: Agent | false): Promise<string> {
  return new Promise((resolve) => {
    get({ host: '127.0.0.1', port, agent, headers: { host: HOST } }, (res) => {
      text(res).then(
        (body) => resolve(`${res.statusCode} ${body}`),
        (error: unknown) => resolve(String(error)),
      );
    }).once('error', (error) => resolve(String(error)));
  });
}

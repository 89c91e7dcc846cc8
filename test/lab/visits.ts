/** Visitors of a host who open a connection for each request. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

interface Visit {
  readonly url: string;
  /** Host header. */
  readonly hostName: string;
  readonly isRight: (status: number, body: string) => boolean;
}

const VISITORS = 4;
/** Pause of a visitor between two requests, ms. */
const PAUSE_MS = 10;
/** Far beyond what a new proxy needs until it answers what has queued meanwhile, ms. */
const ANSWER_MS = 60_000;

/**
 * Visits until `work` is done; each visitor once more afterwards.
 * @returns one line for each request without the right answer, with the error's code
 */
export async function visitDuring(visit: Visit, work: () => Promise<unknown>): Promise<readonly string[]> {
  const failures: string[] = [];
  // Pipelining 0 makes undici open a connection per request and close it after.
  const dispatcher = new Agent({ pipelining: 0, headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS });
  let isOver = false;
  const visitor = async (): Promise<void> => {
    for (let isLast = false; !isLast; await sleep(PAUSE_MS)) {
      isLast = isOver;
      const failure = await visitOnce(visit, dispatcher);
      if (failure !== null) failures.push(failure);
    }
  };
  const visitors = Array.from({ length: VISITORS }, visitor);
  try {
    await work();
  } finally {
    isOver = true;
    await Promise.all(visitors);
    await dispatcher.destroy();
  }
  return failures;
}

async function visitOnce({ url, hostName, isRight }: Visit, dispatcher: Agent): Promise<string | null> {
  try {
    const answer = await request(url, { headers: { host: hostName }, dispatcher });
    const body = await answer.body.text();
    return isRight(answer.statusCode, body) ? null : `HTTP ${answer.statusCode} ${body.slice(0, 100)}`;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return `${code}: ${message}`;
  }
}

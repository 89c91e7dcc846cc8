/** Load by h2load: HTTP/2 over TLS, several streams on each connection, as in browsers. */
import type { Load, Request } from './load.ts';
import { run, urlOf } from './run.ts';

const STREAMS = 8;

export function h2load(request: Request): Load {
  return async (lab, proxy, seconds) => {
    const argv = ['h2load', '-t', '1', '-c', String(request.connections), '-m', String(STREAMS), '-D', String(seconds)];
    return read(await run(lab, 'h2load', [...argv, urlOf(proxy, { ...request, secure: true })], seconds), request);
  };
}

/** @throws Error when a request failed, or the responses were not HTTP/2, 200 and complete */
export function read(output: string, { answerBytes }: Pick<Request, 'answerBytes'>): number {
  const counts = /^requests: .* (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(output);
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$/m.exec(output);
  const data = /^traffic: .* \((\d+)\) data$/m.exec(output);
  const [done = 0, ...failures] = [1, 3, 4, 5].map((index) => Number(counts?.[index] ?? NaN));
  const others = [2, 3, 4].map((index) => Number(statuses?.[index] ?? NaN));
  const whole = Number(data?.[1]) >= done * answerBytes;
  if (!/^Application protocol: h2$/m.test(output) || !(done > 0) || !whole || [...failures, ...others].some(Boolean)) {
    throw new Error(`h2load did not get ${done} whole answers of HTTP/2:\n${output}`);
  }
  return done;
}

/** Load by wrk: HTTP/1.1 over keep-alive connections that are always busy. */
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { Load, Request } from './load.ts';
import { run, urlOf } from './run.ts';

const SCRIPT = fileURLToPath(new URL('wrk.lua', import.meta.url));

const Report = z.object({
  requests: z.int(),
  bytes: z.int(),
  errors: z.record(z.string(), z.int()),
});

export function wrk(request: Request): Load {
  return async (lab, proxy, seconds) => {
    const argv = ['wrk', '-t', '1', '-c', String(request.connections), '-d', `${seconds}s`, '--timeout', '10s'];
    const script = ['-s', SCRIPT, urlOf(proxy, request), '--', request.method ?? 'GET', String(request.bodyBytes ?? 0)];
    const output = await run(lab, 'wrk', [...argv, ...script], seconds);
    const report = Report.parse(JSON.parse(output.trim().split('\n').at(-1) ?? ''));
    const failures = Object.entries(report.errors).filter(([, count]) => count > 0);
    if (failures.length > 0) throw new Error(`wrk counted ${failures.map(([what, n]) => `${n} ${what}`).join(', ')}`);
    // wrk does not treat a redirect or an empty response as an error; too few bytes reveal it.
    if (report.requests === 0 || report.bytes < report.requests * request.answerBytes) {
      throw new Error(`${report.requests} answers had only ${report.bytes} bytes`);
    }
    return report.requests;
  };
}

/** One large download. */
import type { Load, Request } from './load.ts';
import { run, urlOf } from './run.ts';

/** To the proxy a download is one request, however long it takes. */
const PATIENCE_SECONDS = 120;

export function stream(request: Omit<Request, 'connections'>): Load {
  return async (lab, proxy) => {
    const argv = ['curl', '--silent', '--show-error', '--fail', '--output', '/dev/null', '--write-out'];
    const counts = await run(
      lab,
      'curl',
      [...argv, '%{size_download} %{http_code}', urlOf(proxy, request)],
      PATIENCE_SECONDS,
    );
    if (counts !== `${request.answerBytes} 200`) throw new Error(`curl got: ${counts} (bytes, status)`);
    return 1;
  };
}

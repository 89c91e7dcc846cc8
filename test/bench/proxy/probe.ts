/** Checks that a proxy does the measured work: whole bodies from the upstream, and its own forwarding headers. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { buffer } from 'node:stream/consumers';
import { HOST } from './lab.ts';
import type { Lab } from './lab.ts';
import type { RunningProxy } from './proxies/contract.ts';

/** What a client may claim about itself; a proxy at the edge must not pass it on. */
const SPOOFED = { 'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'gopher', 'x-forwarded-host': 'evil.test' };

/** @throws Error that says what the proxy does wrong */
export async function probe(lab: Lab, { process: { name }, ports }: RunningProxy): Promise<void> {
  for (const [scheme, port] of [['http', ports.http] as const, ['https', ports.https] as const]) {
    if (port === null) continue;
    const url = `${scheme}://${HOST}:${port}`;
    for (const [path, digest] of Object.entries(lab.digests)) {
      const found = createHash('sha256')
        .update(await get(lab, `${url}${path}`))
        .digest('hex');
      if (found !== digest) throw new Error(`${name} changes the body of ${url}${path}`);
    }
    const echoed = (await get(lab, `${url}/echo`)).toString();
    const expected = `127.0.0.1|${scheme}|${HOST}:${port}|${HOST}:${port}`;
    if (echoed !== expected) throw new Error(`${name} forwards ${echoed} over ${scheme}, not ${expected}`);
  }
}

function get(lab: Lab, url: string): Promise<Buffer> {
  const options = { headers: SPOOFED, agent: false, family: 4 } as const;
  const tls = { ...options, ca: readFileSync(lab.certificate.crt) };
  return new Promise((resolve, reject) => {
    const sent = url.startsWith('https:') ? requestHttps(url, tls) : requestHttp(url, options);
    sent.once('error', reject);
    sent.once('response', (res) => {
      if (res.statusCode === 200) buffer(res).then(resolve, reject);
      else reject(new Error(`${url} was answered ${res.statusCode}`));
    });
    sent.end();
  });
}

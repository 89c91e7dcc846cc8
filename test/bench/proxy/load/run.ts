/** Runs a load generator on the load's core. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../../../installer/stack/run-program.ts';
import { HOST } from '../lab.ts';
import type { Lab } from '../lab.ts';
import type { RunningProxy } from '../proxies/contract.ts';
import { pinned } from '../server-process.ts';

/**
 * wrk and h2load have no option for this: they offer a single TLS 1.3 suite, so that no server picks a more expensive
 * cipher than another (config(5ssl): system_default).
 */
const ONE_CIPHER = `openssl_conf = library
[library]
ssl_conf = tls
[tls]
system_default = only
[only]
MinProtocol = TLSv1.3
Ciphersuites = TLS_AES_128_GCM_SHA256
`;

/** @returns its output. @throws OrkestrError with the end of the output when it fails or exceeds the time limit */
export function run(lab: Lab, what: string, argv: readonly string[], seconds: number): Promise<string> {
  const file = join(lab.folder, 'openssl.cnf');
  writeFileSync(file, ONE_CIPHER);
  const env = { ...process.env, OPENSSL_CONF: file };
  return mustRun(what, pinned(lab.cpus.load, argv), { env, timeoutMs: (seconds + 60) * 1000 });
}

/** @throws Error when the proxy has no such listener */
export function urlOf({ ports }: RunningProxy, request: { readonly path: string; readonly secure?: boolean }): string {
  const [scheme, port] = request.secure ? ['https', ports.https] : ['http', ports.http];
  if (port === null) throw new Error(`There is no ${scheme} listener.`);
  return `${scheme}://${HOST}:${port}${request.path}`;
}

/** Certificates for tests, made by openssl. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

export interface MadeCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: string;
  readonly key: string;
}

/**
 * A self-signed certificate: `NAME.crt` and `NAME.key` in `folder`.
 *
 * @param altNames as openssl writes them: `DNS:a.test`, `IP:127.0.0.1`
 * @param extensions additional ones, as for `openssl req -addext`
 */
export async function makeCertificate(
  folder: string,
  name: string,
  altNames: readonly string[],
  { days = 30, extensions = [] }: { readonly days?: number; readonly extensions?: readonly string[] } = {},
): Promise<MadeCertificate> {
  const certFile = join(folder, `${name}.crt`);
  const keyFile = join(folder, `${name}.key`);
  const more = [`subjectAltName=${altNames.join(',')}`, ...extensions].flatMap((line) => ['-addext', line]);
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', keyFile];
  const args = ['req', '-x509', ...newKey, '-subj', `/CN=${name}`, '-days', String(days), ...more, '-out', certFile];
  await promisify(execFile)('openssl', args);
  const [cert, key] = await Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
  return { certFile, keyFile, cert, key };
}

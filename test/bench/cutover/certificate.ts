/** A certificate that is its own CA, made with openssl. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../../../installer/stack/run-program.ts';

export interface Certificate {
  readonly pem: string;
  readonly file: string;
}

/**
 * Writes NAME.crt and NAME.key for all hosts into a folder, NAME being the first host.
 * @returns the certificate, as text and as a file
 */
export async function makeCertificate(folder: string, hosts: readonly string[]): Promise<Certificate> {
  const name = hosts[0] ?? 'localhost';
  const file = join(folder, `${name}.crt`);
  await mustRun('Making a certificate', [
    'openssl',
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    '-addext',
    `subjectAltName=${hosts.map((host) => `DNS:${host}`).join(',')}`,
    '-keyout',
    join(folder, `${name}.key`),
    '-out',
    file,
  ]);
  return { pem: readFileSync(file, 'utf8'), file };
}

/** ACME certificates on disk: key and chain share a file, so that one rename replaces both. */
import { createHash } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { toErrorReport } from '../../../protocol/errors.ts';
import type { Logger } from '../../../protocol/service/logger.ts';
import { readCertificate } from '../certificate.ts';
import type { Certificate } from '../certificate.ts';
import { makePrivateFolder, writePrivateFile } from '../../private-file.ts';
import type { Issued } from './order.ts';

/** NAME_MAX is 255 bytes, and `.pem.new` is appended. */
const MAX_NAME_LENGTH = 240;
const KEY_END = '-----END PRIVATE KEY-----\n';

export class CertificateStore {
  readonly #folder: string;
  readonly #log: Logger;

  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** The readable certificates, by their (only) host. Logs damaged files; their hosts get new ones. */
  async load(): Promise<Map<string, Certificate>> {
    await makePrivateFolder(this.#folder);
    const certificates = new Map<string, Certificate>();
    for (const name of await readdir(this.#folder)) {
      if (!name.endsWith('.pem')) continue;
      try {
        const text = await readFile(join(this.#folder, name), 'utf8');
        const keyEnd = text.indexOf(KEY_END) + KEY_END.length;
        const certificate = readCertificate('acme', text.slice(keyEnd), text.slice(0, keyEnd));
        for (const host of certificate.hosts) certificates.set(host, certificate);
      } catch (error) {
        const { code, message } = toErrorReport(error, 'ORK_CERTIFICATE_UNUSABLE');
        this.#log.error({ file: name, code, error: message }, 'a stored certificate is not usable');
      }
    }
    return certificates;
  }

  async save(host: string, { privateKey, chain }: Issued): Promise<void> {
    await writePrivateFile(this.#path(host), `${privateKey.trimEnd()}\n${chain}`);
  }

  async remove(host: string): Promise<void> {
    await rm(this.#path(host), { force: true });
  }

  #path(host: string): string {
    const name = host.length <= MAX_NAME_LENGTH ? host : createHash('sha256').update(host).digest('hex');
    return join(this.#folder, `${name}.pem`);
  }
}

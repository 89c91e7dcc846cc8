/** A proxy process with its own folder and certificate; both are removed when it stops. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EdgeProcess } from '../../harness/edge-process.ts';
import { makeCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';

export class SecureEdge {
  readonly process: EdgeProcess;
  /** The certificate that the proxy serves for all hosts; it is its own CA. */
  readonly certificate: Certificate;
  readonly #folder: string;

  /** @param hosts names in the certificate */
  static async start(hosts: readonly string[]): Promise<SecureEdge> {
    const folder = mkdtempSync(join(tmpdir(), 'orkestr-edge-'));
    try {
      const certificates = join(folder, 'certificates');
      mkdirSync(certificates, { mode: 0o700 });
      const certificate = await makeCertificate(certificates, hosts);
      const process = await EdgeProcess.start({
        name: 'proxy',
        folder,
        engine: 'fast',
        env: {
          ORKESTR_PROXY_LISTEN_TLS: '127.0.0.1:0',
          ORKESTR_PROXY_CERTIFICATES: certificates,
        },
      });
      return new SecureEdge(process, certificate, folder);
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(process: EdgeProcess, certificate: Certificate, folder: string) {
    this.process = process;
    this.certificate = certificate;
    this.#folder = folder;
  }

  async stop(): Promise<void> {
    await this.process.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/**
 * Certificates that an operator puts into a folder: `NAME.crt` (the chain) with `NAME.key`. Their host names are read
 * from the certificate. The folder is polled instead of watched: often the target of a link elsewhere changes (certbot,
 * Kubernetes), which inotify on the folder does not report.
 */
import { open, readdir, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { OrkestrError, toErrorReport } from '../../protocol/errors.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import { readCertificate } from './certificate.ts';
import type { Certificate } from './certificate.ts';

/** Largest file to read, bytes: a long chain has some 10 KiB. */
const MAX_FILE_BYTES = 1_048_576;
/** Most pairs to read from the folder. */
const MAX_PAIRS = 10_000;

interface Pair {
  /** Changes with the files: inode, size and times of both. */
  readonly version: string;
  /** The last good one; it stays in use while the files are broken. */
  readonly certificate: Certificate | null;
  readonly error: string | null;
}

export class CertificateFolder {
  readonly #path: string;
  readonly #log: Logger;
  readonly #pairs = new Map<string, Pair>();
  #folderError: string | null = null;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** The usable certificates, by name of their files. */
  get certificates(): readonly Certificate[] {
    return [...this.#pairs.values()].flatMap(({ certificate }) => certificate ?? []);
  }

  /** Why the newest files of this certificate are not in use, with the error code; null when they are. */
  errorOf(wanted: Certificate): string | null {
    return [...this.#pairs.values()].find(({ certificate }) => certificate === wanted)?.error ?? null;
  }

  /** Files without any usable certificate: name → reason. */
  get broken(): ReadonlyMap<string, string> {
    const broken = [...this.#pairs].flatMap(([name, { certificate, error }]) =>
      certificate === null && error !== null ? [[name, error] as const] : [],
    );
    return new Map(broken);
  }

  /**
   * Reads what has changed since the last scan. Never rejects, whatever the folder contains.
   *
   * @returns true when a certificate was added, changed or removed
   */
  async scan(): Promise<boolean> {
    const names = await this.#names();
    if (names === null) return false;
    let changed = false;
    for (const name of this.#pairs.keys()) {
      if (names.has(name)) continue;
      // Both files are gone, so the removal is intentional.
      this.#pairs.delete(name);
      this.#log.info({ file: name }, 'certificate file removed');
      changed = true;
    }
    for (const name of names) changed = (await this.#scanPair(name)) || changed;
    return changed;
  }

  async #names(): Promise<Set<string> | null> {
    try {
      const files = await readdir(this.#path);
      this.#folderError = null;
      const names = files.filter((file) => /^[^.].*\.(?:crt|key)$/.test(file)).map((file) => file.slice(0, -4));
      return new Set(names.toSorted().slice(0, MAX_PAIRS * 2));
    } catch (error) {
      // The certificates read before stay in use; the folder may be back at the next look.
      const { message } = toErrorReport(error);
      if (message !== this.#folderError)
        this.#log.error({ folder: this.#path, error: message }, 'no certificate folder');
      this.#folderError = message;
      return null;
    }
  }

  async #scanPair(name: string): Promise<boolean> {
    const before = this.#pairs.get(name);
    const files = [join(this.#path, `${name}.crt`), join(this.#path, `${name}.key`)] as const;
    const version = (await Promise.all(files.map(versionOf))).join(' ');
    if (before?.version === version) return false;
    try {
      const certificate = readCertificate('file', await readSmall(files[0]), await readSmall(files[1]));
      this.#pairs.set(name, { version, certificate, error: null });
      if (isSame(certificate, before?.certificate ?? null)) return false;
      this.#log.info(
        { file: name, hosts: certificate.hosts, notAfter: new Date(certificate.notAfter) },
        'certificate file read',
      );
      return true;
    } catch (error) {
      // A broken file never replaces a good one. The view shows the error, and the file is read again once it changes.
      const { code, message } = toErrorReport(error, 'ORK_CERTIFICATE_UNUSABLE');
      const kept = before?.certificate ?? null;
      this.#pairs.set(name, { version, certificate: kept, error: `${code}: ${message}` });
      this.#log.error({ file: name, code, error: message, keepsOld: kept !== null }, 'certificate file is not usable');
      return false;
    }
  }
}

/** Compares the chain too: an operator may repair it while its first certificate stays the same. */
const isSame = (certificate: Certificate, before: Certificate | null): boolean =>
  certificate.fingerprint === before?.fingerprint && certificate.chain === before.chain;

async function versionOf(path: string): Promise<string> {
  try {
    const { ino, size, mtimeMs, ctimeMs } = await stat(path);
    return `${ino}:${size}:${mtimeMs}:${ctimeMs}`;
  } catch (error) {
    // Reading the file, right after this, reports the error in full.
    return (error as NodeJS.ErrnoException).code ?? 'unreadable';
  }
}

async function readSmall(path: string): Promise<string> {
  const file = await openReadable(path);
  try {
    const { size } = await file.stat();
    if (size > MAX_FILE_BYTES) {
      throw new OrkestrError('ORK_CERTIFICATE_UNUSABLE', `${path} is larger than ${MAX_FILE_BYTES} bytes.`);
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function openReadable(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error;
    const who = 'the user that the proxy runs as (of an installation: orkestr-proxy)';
    throw new OrkestrError('ORK_CERTIFICATE_UNUSABLE', `${path} must be readable by ${who}.`, { cause: error });
  }
}

/** TLS of the proxy put together: certificates from files and from ACME, and the terminator that is fed with them. */
import { randomBytes } from 'node:crypto';
import type { CertificateList } from '../../protocol/proxy-admin.ts';
import type { Logger } from '../../protocol/service/logger.ts';
import type { Clock } from '../clock.ts';
import { isValidAt, wildcardOf } from './certificate.ts';
import type { Certificate } from './certificate.ts';
import { CertificateFolder } from './certificate-folder.ts';
import type { TerminatorChange, TerminatorState } from './state.ts';
import { StaticTerminator } from './static-terminator.ts';

export interface AcmeSettings {
  /** Directory URLs (RFC 8555 section 7.1.1) in the order in which they are tried. */
  readonly directories: readonly string[];
  readonly email?: string;
  /** PEM file of CAs to trust for the directories' own https, beside the machine's. */
  readonly caFile?: string;
}

export interface TlsSettings {
  /** Folder of NAME.crt and NAME.key files. */
  readonly certificatesFolder?: string;
  /** Folder for what is made here; certificates by ACME go to `acme/` in it. */
  readonly stateDirectory: string;
  readonly acme: AcmeSettings | null;
}

export interface TlsDependencies {
  readonly log: Logger;
  readonly clock: Clock;
  /** Called with each change: what workers must be told. */
  readonly onChange?: (change: TerminatorChange) => void;
  /** Time between two looks at the folder, ms. */
  readonly lookMs?: number;
}

export interface Tls {
  readonly terminator: StaticTerminator;
  /** All there is now: what a worker that starts must be told first. */
  state(): TerminatorState;
  /** The hosts that visitors use now. */
  wanted(hosts: readonly string[]): void;
  view(): CertificateList;
  close(): Promise<void>;
}

const LOOK_MS = 5_000;
/** A key that was stolen opens what was sent in this time, no more. */
const TICKET_KEY_MS = 43_200_000;
/** What `server.setTicketKeys` takes. */
const TICKET_KEY_BYTES = 48;

/** Resolves when all certificates that there are can be used. */
export async function startTls(
  settings: TlsSettings,
  { log, clock, onChange, lookMs = LOOK_MS }: TlsDependencies,
): Promise<Tls> {
  const folder = settings.certificatesFolder ? new CertificateFolder(settings.certificatesFolder, log) : null;
  const terminator = new StaticTerminator(clock);
  let hosts: readonly string[] = [];
  const state: TerminatorState = { certificates: [], challenges: { http: {}, alpn: {} }, ticketKeys: makeTicketKeys() };
  const feed = (change: TerminatorChange): void => {
    Object.assign(state, change);
    terminator.update(change);
    onChange?.(change);
  };
  const all = (): readonly Certificate[] => inOrder(folder?.certificates ?? [], clock.now().getTime());
  const feedCertificates = (): void => feed({ certificates: all().map(toState) });

  await folder?.scan();
  feed({ ...state, certificates: all().map(toState) });
  const looks = repeat(lookMs, async () => {
    if (await folder?.scan()) feedCertificates();
  });
  const rotation = setInterval(() => feed({ ticketKeys: makeTicketKeys() }), TICKET_KEY_MS).unref();

  return {
    terminator,
    state: () => ({ ...state }),
    wanted: (names) => {
      hosts = names;
    },
    view: () => ({
      certificates: all().flatMap((certificate) =>
        certificate.hosts.map((host) => ({
          host,
          source: certificate.source,
          issuer: certificate.issuer,
          notAfter: new Date(certificate.notAfter).toISOString(),
          renewAt: null,
          lastError: folder?.errorOf(certificate) ?? null,
        })),
      ),
      missing: hosts
        .filter((host) => !covered(host, all()))
        .map((host) => ({ host, reason: 'ORK_CERTIFICATE_NONE: no certificate file names this host.', retryAt: null })),
    }),
    close: async () => {
      clearInterval(rotation);
      await looks.end();
    },
  };
}

const makeTicketKeys = (): string => randomBytes(TICKET_KEY_BYTES).toString('base64');

const toState = ({
  hosts,
  chain,
  privateKey,
  notBefore,
  notAfter,
}: Certificate): TerminatorState['certificates'][number] => ({
  hosts: [...hosts],
  chain,
  privateKey,
  notBefore,
  notAfter,
  staple: null,
});

const covered = (host: string, certificates: readonly Certificate[]): boolean =>
  certificates.some(({ hosts }) => hosts.includes(host) || hosts.includes(wildcardOf(host) ?? ''));

/** Best first: valid before expired, files before ACME, then the one that lasts longest. */
function inOrder(certificates: readonly Certificate[], now: number): Certificate[] {
  const rank = (certificate: Certificate): number =>
    (isValidAt(certificate, now) ? 0 : 2) + (certificate.source === 'file' ? 0 : 1);
  return certificates.toSorted((a, b) => rank(a) - rank(b) || b.notAfter - a.notAfter);
}

/** Runs `work` again and again, `ms` after its end; never twice at once. */
function repeat(ms: number, work: () => Promise<void>): { end(): Promise<void> } {
  let running = Promise.resolve();
  let timer: NodeJS.Timeout;
  const again = (): void => {
    timer = setTimeout(() => {
      running = work().finally(again);
    }, ms).unref();
  };
  again();
  return {
    end: async () => {
      await running;
      clearTimeout(timer);
    },
  };
}

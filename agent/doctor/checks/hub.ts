/** The hub: does it answer, is its certificate valid, and is it the one that this host was enrolled with. */
import { readPublicKey } from '../../../protocol/signing.ts';
import { duration } from '../../lib/duration.ts';
import { isTwice } from '../../status/hub.ts';
import { defineCheck, when } from '../check.ts';
import type { Finding } from '../check.ts';
import type { HubAnswer } from '../../host-facts/hub-answer.ts';

const DAY_MS = 86_400_000;
const SOON_DAYS = 14;
/** Reasons for a lost connection that have findings of their own. */
const REPORTED_ABOVE: readonly (string | null)[] = ['ORK_SIGNATURE', 'ORK_HOST_TWICE'];
/** Error codes of Node's TLS (openssl verify(1)) that concern the certificate. */
const CERTIFICATE = /CERT|SIGNATURE|ISSUER|ALTNAME|SELF_SIGNED|CRL|VERIFY/;
/** Of those: the issuer is not trusted by this host, and the name does not match. */
const AUTHORITY = /GET_ISSUER_CERT|SELF_SIGNED|VERIFY_LEAF/;
const OTHER_NAME = /ALTNAME/;

/** Of those: codes that a wrong clock also causes. Without a connection the clock cannot be compared with the hub's. */
const OUT_OF_TIME: Readonly<Record<string, string>> = {
  CERT_NOT_YET_VALID: 'is not valid yet',
  CERT_HAS_EXPIRED: 'has expired',
};

type Problem =
  | 'unreachable'
  | 'certificate-refused'
  | 'certificate-authority'
  | 'certificate-name'
  | 'certificate-time'
  | 'certificate-ends'
  | 'not-a-hub'
  | 'other-hub'
  | 'pinned-key'
  | 'twice'
  | 'no-link';

interface Facts {
  readonly url: string;
  readonly answer: HubAnswer;
  readonly now: number;
  readonly keyReadable: boolean;
  /** Link of the running agent; null without one. */
  readonly link: {
    readonly connected: boolean;
    readonly lastError: string | null;
    readonly lastCode: string | null;
    readonly twiceAt?: string | undefined;
  } | null;
}

/** All programs of orkestr trust the CAs that the host trusts (docs/install.md), and read them when they start. */
function trusting(file: string, update: string): string {
  return `If it is your own authority, copy its certificate to ${file}, then run \`${update} && systemctl restart orkestr-agent\`. If it is a public one, the hub must send the intermediate certificates too; \`openssl s_client -showcerts -connect {address} </dev/null\` shows what it sends. Otherwise another server answers in place of the hub.`;
}

export const hub = defineCheck({
  name: 'hub',
  about:
    'The hub is reachable, its certificate is valid, and it is the hub that this host was enrolled with. Apps keep running without it.',
  problems: {
    unreachable: {
      level: 'fail',
      says: 'The hub at {url} does not answer: this host receives no deployments. Apps and visitors are not affected.',
      mend: 'Check with `curl -v {url}/healthz`. Start the hub, or fix the connection to it (firewall, DNS). If the hub has moved, run `orkestr-agent hub URL`.',
    },
    'certificate-refused': {
      level: 'fail',
      says: 'The certificate of the hub at {url} is not accepted.',
      mend: 'Renew it at the hub. `openssl s_client -connect {address} </dev/null | openssl x509 -noout -dates -subject` shows it.',
    },
    'certificate-authority': {
      level: 'fail',
      says: 'The certificate of the hub at {url} was issued by an authority that this host does not trust.',
      mend: {
        apt: trusting('/usr/local/share/ca-certificates/hub.crt', 'update-ca-certificates'),
        dnf: trusting('/etc/pki/ca-trust/source/anchors/hub.crt', 'update-ca-trust'),
      },
    },
    'certificate-name': {
      level: 'fail',
      says: 'The certificate of the hub at {url} is for another name.',
      mend: 'If the hub has that name, run `orkestr-agent hub URL`. Otherwise get a certificate for this name at the hub; `openssl s_client -connect {address} </dev/null | openssl x509 -noout -ext subjectAltName` shows the names in the current one.',
    },
    'certificate-time': {
      level: 'fail',
      says: 'The certificate of the hub at {url} {how} according to the clock of this host, which shows {now}.',
      mend: 'If the clock is wrong, run `timedatectl set-ntp true`; see the check clock. Otherwise renew the certificate at the hub: `openssl s_client -connect {address} </dev/null | openssl x509 -noout -dates` shows it.',
    },
    'certificate-ends': {
      level: 'warn',
      says: 'The certificate of the hub expires in {days} days.',
      mend: 'Renew it at the hub: `openssl s_client -connect {address} </dev/null | openssl x509 -noout -dates` shows it.',
    },
    'not-a-hub': {
      level: 'fail',
      says: 'The server at {url} is not an orkestr hub (status {status}).',
      mend: 'Check with `curl -i {url}/healthz`: another server, or a proxy in between, answers there.',
    },
    'other-hub': {
      level: 'fail',
      says: 'The hub at {url} is not the one that this host was enrolled with, or no longer knows this host.',
      mend: "If the hub was reinstalled, or this host was removed from it, run `orkestr-agent leave` (this removes the apps), then the command that `orkestr hosts add NAME` prints; on the hub's own host `sh /opt/orkestr/current/install.sh --hub-here`. If not, somebody is intercepting the connection.",
    },
    'pinned-key': {
      level: 'fail',
      says: "The hub's key stored on this host is not readable.",
      mend: 'Restore identity.json of the state folder from a backup, or enrol the host again.',
    },
    twice: {
      level: 'fail',
      says: 'Another machine connects to the hub with the identity of this host (last {ago} ago): each deployment goes to only one of them.',
      mend: 'One machine was created from an image or a backup of the other. On the copy, run `orkestr-agent leave` (this removes its apps), then the command that `orkestr hosts add NAME` prints.',
    },
    'no-link': {
      level: 'warn',
      says: 'The hub answers, but the agent has no connection to it.',
      mend: '`journalctl -u orkestr-agent -n 50 --no-pager` shows why. `systemctl restart orkestr-agent` reconnects at once.',
    },
  },
  async gather(subject): Promise<Facts | null> {
    const known = subject.identity()?.hub;
    const [answer, view] = await Promise.all([subject.hub(), subject.agent()]);
    if (!known || answer === null) return null;
    return {
      url: known.url.replace(/\/$/, ''),
      answer,
      now: subject.clock.now(),
      keyReadable: readPublicKey(known.publicKey) !== undefined,
      link: typeof view === 'string' ? null : view.hub,
    };
  },
  judge(facts) {
    if (facts === null) return { skipped: 'this host belongs to no hub' };
    return { summary: facts.url, findings: [...ofKey(facts), ...ofRival(facts), ...ofAnswer(facts)] };
  },
});

function ofKey({ url, keyReadable, link }: Facts): Finding<Problem>[] {
  if (!keyReadable) return [{ problem: 'pinned-key' }];
  if (link?.lastCode !== 'ORK_SIGNATURE' || link.connected) return [];
  return [{ problem: 'other-hub', values: { url }, evidence: link.lastError === null ? [] : [link.lastError] }];
}

function ofRival({ link, now }: Facts): Finding<Problem>[] {
  const at = link?.twiceAt;
  return when(isTwice(at, now), { problem: 'twice', values: { ago: duration(now - Date.parse(at ?? '')) } });
}

function ofAnswer({ url, answer, now, link }: Facts): Finding<Problem>[] {
  const address = addressOf(url);
  if (!answer.reached) {
    const values = { url, address, how: OUT_OF_TIME[answer.code] ?? '', now: new Date(now).toISOString() };
    return [{ problem: whyNot(answer.code), values, evidence: [`${answer.code}: ${answer.message}`] }];
  }
  if (!isHealthy(answer)) {
    return [{ problem: 'not-a-hub', values: { url, status: answer.status }, evidence: [answer.body.slice(0, 200)] }];
  }
  const days = answer.certificateUntil === null ? Infinity : Math.floor((answer.certificateUntil - now) / DAY_MS);
  const lost = link !== null && !link.connected && !REPORTED_ABOVE.includes(link.lastCode);
  return [
    ...when(days < SOON_DAYS, { problem: 'certificate-ends', values: { days, address } }),
    ...when(lost, { problem: 'no-link', evidence: [link?.lastError ?? 'it has not tried to connect yet'] }),
  ];
}

function whyNot(code: string): Problem {
  if (code in OUT_OF_TIME) return 'certificate-time';
  if (AUTHORITY.test(code)) return 'certificate-authority';
  if (OTHER_NAME.test(code)) return 'certificate-name';
  return CERTIFICATE.test(code) ? 'certificate-refused' : 'unreachable';
}

/** The hub's own health response: see hub/api/health.ts. */
const isHealthy = ({ status, body }: Extract<HubAnswer, { reached: true }>): boolean =>
  status === 200 && /"status"\s*:\s*"ok"/.test(body);

function addressOf(url: string): string {
  const { hostname, port, protocol } = new URL(url);
  return `${hostname}:${port === '' ? (protocol === 'https:' ? 443 : 80) : port}`;
}

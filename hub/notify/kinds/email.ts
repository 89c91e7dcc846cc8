/** E-mail through the mail server of the hub's settings. */
import type { Transporter } from 'nodemailer';
import { OrkestrError } from '../../../protocol/errors.ts';
import { emailAddress, type HubConfig, type MailServer } from '../../config.ts';
import { connectionError } from '../../outbound/connection-error.ts';
import { textOf, titleOf } from '../text.ts';
import { within } from '../../outbound/within.ts';
import type { Kind } from './kind.ts';

const MAX_CHARACTERS = 100_000;
/** Limit for each phase of the connection, ms. */
const PART_MS = 10_000;

export const email: Kind = {
  signs: false,
  shown(address, mail) {
    if (!emailAddress.safeParse(address).success) throw new OrkestrError('ORK_INVALID', 'Give one e-mail address.');
    needed(mail);
    return address;
  },
  async send(message, { address }, { mail, hubUrl, signal, ca }) {
    const server = needed(mail);
    const transport = await makeTransport(server, ca);
    const sent = transport.sendMail({
      from: server.from,
      to: { name: '', address },
      subject: `[orkestr] ${titleOf(message)}`,
      text: textOf(message, MAX_CHARACTERS),
      messageId: `<${message.id}@${new URL(hubUrl).hostname}>`,
      // RFC 3834: suppresses automatic replies.
      headers: { 'auto-submitted': 'auto-generated' },
    });
    try {
      await within(signal, sent);
    } catch (cause) {
      throw mailError(cause, server);
    } finally {
      transport.close();
    }
  },
};

/** @throws OrkestrError ORK_NOTIFY_MAIL */
function needed(mail: HubConfig['mail']): MailServer {
  if (mail !== undefined) return mail;
  throw new OrkestrError('ORK_NOTIFY_MAIL', 'This hub has no mail server, so it cannot send mail.');
}

/** Loaded with the first mail, since most hubs send none. */
async function makeTransport(
  { host, port, secure, plain, user, password }: MailServer,
  ca: string | undefined,
): Promise<Transporter> {
  const { createTransport } = await import('nodemailer');
  return createTransport({
    host,
    port,
    secure,
    requireTLS: !plain,
    ignoreTLS: plain,
    ...(user === undefined ? {} : { auth: { user, pass: password ?? '' } }),
    ...(ca === undefined ? {} : { tls: { ca } }),
    connectionTimeout: PART_MS,
    greetingTimeout: PART_MS,
    socketTimeout: PART_MS,
    dnsTimeout: PART_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
}

function mailError(cause: unknown, { host, port }: MailServer): OrkestrError {
  const { response, code } = cause as { readonly response?: string; readonly code?: string };
  const place = `the mail server ${host}:${port}`;
  if (response === undefined) return connectionError(cause, place);
  const answer = response.slice(0, 500);
  const part = code === 'EAUTH' ? ' to the login' : '';
  return new OrkestrError('ORK_NOTIFY_ANSWER', `${place} answered${part}: ${answer}`, { cause });
}

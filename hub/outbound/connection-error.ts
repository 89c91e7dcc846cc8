/** Maps connection errors on the way to a receiver to our error codes. */
import { OrkestrError } from '../../protocol/errors.ts';

const NAME = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'EDNS']);
/** Codes of OpenSSL and of Node's own certificate check. */
const TLS =
  /^(?:ERR_TLS_|ERR_SSL_|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_|HOSTNAME_MISMATCH|EPROTO|ETLS)/;
/** Codes that nodemailer puts in place of the original one; only the message remains. */
const WORDS_ONLY = new Set(['ESOCKET', 'ECONNECTION', 'ETIMEDOUT']);
const TLS_WORDS = /certificate|altnames|\bTLS\b|\bSSL\b/;
const LATE = new Set(['TimeoutError', 'AbortError']);

/** @param place the destination, in a form that may be shown */
export function connectionError(cause: unknown, place: string): OrkestrError {
  const error = cause instanceof Error ? cause : new Error(String(cause));
  const codes = codesOf(error);
  const [code] = codes;
  const isTls = codes.some((one) => TLS.test(one)) || (code === 'ESOCKET' && TLS_WORDS.test(error.message));
  const reason = code === undefined || WORDS_ONLY.has(code) ? error.message : code;
  if (codes.some((code) => NAME.has(code))) {
    return new OrkestrError('ORK_NOTIFY_DNS', `The name in ${place} could not be resolved (${reason}).`, { cause });
  }
  if (isTls) {
    const words = reason === error.message ? reason : `${error.message} (${reason})`;
    return new OrkestrError('ORK_NOTIFY_TLS', `No secure connection to ${place}: ${words}.`, { cause });
  }
  const why = LATE.has(error.name) ? 'it did not answer in time' : reason;
  return new OrkestrError('ORK_NOTIFY_UNREACHABLE', `${place} cannot be reached: ${why}.`, { cause });
}

/** The codes of the error and of its causes. */
function codesOf(error: Error): string[] {
  const { code } = error as NodeJS.ErrnoException;
  const cause = error.cause instanceof Error ? codesOf(error.cause) : [];
  return [...(typeof code === 'string' ? [code] : []), ...cause];
}

/** Problems that a CA reports (RFC 8555 section 6.7), and which of our errors each one is. */
import { z } from 'zod';
import { OrkestrError } from '../../../protocol/errors.ts';
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';

const PREFIX = 'urn:ietf:params:acme:error:';
const MAX_DETAIL = 500;

/** The parts of an RFC 9457 problem document that we use. CAs leave out much; fields that are not text are ignored. */
const Document = z.object({ type: z.string().catch(''), detail: z.string().catch('') }).catch({ type: '', detail: '' });

/** Problem types of a validation that did not reach this host. */
const CHALLENGE_TYPES = ['connection', 'dns', 'incorrectResponse', 'tls', 'unauthorized'];
const ACCOUNT_TYPES = [
  'accountDoesNotExist',
  'externalAccountRequired',
  'invalidContact',
  'unsupportedContact',
  'userActionRequired',
];

/** A failed order. `type` is the last part of the problem's URN, or ''. */
export class AcmeProblem extends OrkestrError {
  readonly type: string;
  /** How long the CA wants no requests, ms; null when it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: ErrorCode, message: string, about: { type?: string; retryAfterMs?: number | null } = {}) {
    super(code, message);
    this.type = about.type ?? '';
    this.retryAfterMs = about.retryAfterMs ?? null;
  }
}

/** The problem in a response with status 400 or above. */
export function problemOf(
  who: string,
  response: { readonly status: number; readonly data: unknown; readonly retryAfterMs: number | null },
): AcmeProblem {
  const { type, detail } = readDocument(response.data);
  const code =
    response.status === 429 ? 'ORK_ACME_LIMIT' : response.status >= 500 ? 'ORK_ACME_UNREACHABLE' : codeOf(type);
  const words = `${who} answered ${response.status}${type && ` ${type}`}${detail && `: ${detail}`}`;
  return new AcmeProblem(code, words, { type, retryAfterMs: response.retryAfterMs });
}

/** The problem of a challenge, an authorization or an order that has become invalid. */
export function refusalOf(who: string, error: unknown): AcmeProblem {
  const { type, detail } = readDocument(error);
  const code = CHALLENGE_TYPES.includes(type) ? 'ORK_ACME_CHALLENGE' : codeOf(type);
  return new AcmeProblem(code, `${who} refused it: ${type}${detail && ` (${detail})`}`, { type });
}

function readDocument(value: unknown): { type: string; detail: string } {
  const { type, detail } = Document.parse(value);
  // Foreign text goes to logs and views: make it one line of limited length.
  const line = detail.replaceAll(/\p{Cc}+/gu, ' ').slice(0, MAX_DETAIL);
  return { type: type.startsWith(PREFIX) ? type.slice(PREFIX.length, PREFIX.length + 64) : '', detail: line };
}

function codeOf(type: string): ErrorCode {
  if (type === 'rateLimited') return 'ORK_ACME_LIMIT';
  if (type === 'serverInternal') return 'ORK_ACME_UNREACHABLE';
  return ACCOUNT_TYPES.includes(type) ? 'ORK_ACME_ACCOUNT' : 'ORK_ACME_REFUSED';
}

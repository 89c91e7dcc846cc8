/** Protocol 1 as its peers read it, for speaking to one of them. It goes when protocol 1 is spoken no more. */
import type { AgentMessage, HubMessage } from './agent-link.ts';
import type { ErrorCode } from './errors.ts';

/** Its readers refuse a whole frame for a code that they do not know, and an agent would send its report for ever. */
const CODES: ReadonlySet<string> = new Set([
  'ORK_INVALID',
  'ORK_UNAUTHENTICATED',
  'ORK_FORBIDDEN',
  'ORK_NOT_FOUND',
  'ORK_CONFLICT',
  'ORK_TOO_LARGE',
  'ORK_TOO_MANY_REQUESTS',
  'ORK_PLAN_LIMIT',
  'ORK_INTERNAL',
  'ORK_HUB_UNREACHABLE',
  'ORK_JOIN_TOKEN',
  'ORK_HOST_OFFLINE',
  'ORK_HOST_LOST',
  'ORK_PROTOCOL',
  'ORK_SIGNATURE',
  'ORK_JOB_REFUSED',
  'ORK_GENERATION_STALE',
  'ORK_ROUTE_TAKEN',
  'ORK_PROXY_UNREACHABLE',
  'ORK_PROXY_HAND_OVER',
  'ORK_TABLE_UNREADABLE',
  'ORK_QUEUE_FULL',
  'ORK_URL_REFUSED',
  'ORK_REF_REFUSED',
  'ORK_BRANCH_UNKNOWN',
  'ORK_COMMIT_UNKNOWN',
  'ORK_REPO_ACCESS',
  'ORK_REPO_EMPTY',
  'ORK_REPO_UNREACHABLE',
  'ORK_REPO_TOO_LARGE',
  'ORK_REPO_UNSAFE',
  'ORK_CLONE_FAILED',
  'ORK_NOTHING_DETECTED',
  'ORK_APP_AMBIGUOUS',
  'ORK_COMPOSE_FILE',
  'ORK_ROOT_MISSING',
  'ORK_MANIFEST_INVALID',
  'ORK_DOCKERFILE_REFUSED',
  'ORK_BUILD_FAILED',
  'ORK_BUILD_MEMORY',
  'ORK_BUILD_TIMEOUT',
  'ORK_BUILD_DISK',
  'ORK_BUILD_INODES',
  'ORK_BUILD_PROCESSES',
  'ORK_BUILD_LOG',
  'ORK_CONTEXT_TOO_LARGE',
  'ORK_IMAGE_TOO_LARGE',
  'ORK_BUILD_FEATURE',
  'ORK_BUILD_SECRET',
  'ORK_BASE_IMAGE',
  'ORK_IMAGE_DAMAGED',
  'ORK_SANDBOX',
  'ORK_START_FAILED',
  'ORK_APP_EXITED',
  'ORK_APP_MEMORY',
  'ORK_PORT_CLOSED',
  'ORK_PORT_WRONG',
  'ORK_PORT_LOOPBACK',
  'ORK_UNHEALTHY',
  'ORK_APP_REGRESSED',
  'ORK_CUTOVER_FAILED',
  'ORK_HOST_UNKNOWN',
  'ORK_APP_UNREACHABLE',
  'ORK_APP_UNAVAILABLE',
  'ORK_APP_TIMEOUT',
  'ORK_ADDRESS_REFUSED',
  'ORK_MAINTENANCE',
  'ORK_CERTIFICATE_UNUSABLE',
  'ORK_CERTIFICATE_NONE',
  'ORK_CERTIFICATE_EXPIRED',
  'ORK_CERTIFICATE_STAPLE',
  'ORK_ACME_WILDCARD',
  'ORK_ACME_DNS',
  'ORK_ACME_CHALLENGE',
  'ORK_ACME_REFUSED',
  'ORK_ACME_ACCOUNT',
  'ORK_ACME_LIMIT',
  'ORK_ACME_UNREACHABLE',
  'ORK_ENGINE_UNREACHABLE',
  'ORK_ENGINE_TIMEOUT',
  'ORK_DISK_FULL',
  'ORK_CANCELLED',
  'ORK_INTERRUPTED',
  'ORK_ALREADY_RUNNING',
  'ORK_CONFIG',
  'ORK_MACHINE_UNFIT',
  'ORK_PREPARE_FAILED',
  'ORK_REQUEST_LOST',
]);

const MESSAGES: ReadonlySet<string> = new Set([
  'challenge',
  'hello',
  'welcome',
  'job',
  'lease',
  'cancel',
  'ack',
  'error',
  'report',
  'renew',
  'status',
]);

/** The message as protocol 1 says it; null: it has no such message. Fields that it does not know are passed over there. */
export function toVersion1<M extends HubMessage | AgentMessage>(message: M): M | null {
  if (!MESSAGES.has(message.type)) return null;
  if (message.type === 'error') return { ...message, ...known(message, 'ORK_PROTOCOL') };
  if (message.type !== 'report' || message.report.kind === 'log') return message;
  const { error, ...report } = message.report;
  if (error === undefined) return message;
  return { ...message, report: { ...report, error: { ...error, ...known(error, 'ORK_INTERNAL') } } };
}

interface Coded {
  readonly code: ErrorCode;
  readonly message: string;
}

/** A code that is not known there gives way to one that is, and goes into the words. */
function known({ code, message }: Coded, otherwise: ErrorCode): Coded {
  return CODES.has(code) ? { code, message } : { code: otherwise, message: `${code}: ${message}`.slice(0, 2000) };
}

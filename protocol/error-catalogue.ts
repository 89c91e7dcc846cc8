/**
 * The catalogue of coded errors: what happened, whose fault it is, whether trying again helps, what to do.
 * A code is never reused. `docs/errors.md` has a line for each; a test compares both ways.
 */
import { z } from 'zod';
import { DEPLOYMENT_ERRORS } from './deployment-errors.ts';
import { kind } from './error-kind.ts';
import type { ErrorKind } from './error-kind.ts';

export const ERRORS = {
  // Requests
  ORK_INVALID: kind('user', 400, 'Correct the value that the message names, then try again.'),
  ORK_UNAUTHENTICATED: kind(
    'user',
    401,
    "Log in, or send a valid API token. If the token is lost, run `orkestr-hub token` as root on the hub's host.",
  ),
  ORK_FORBIDDEN: kind('user', 403, 'Use a token that has the scope named in the message.'),
  ORK_NOT_FOUND: kind('user', 404, 'Check the name, or list what exists.'),
  ORK_CONFLICT: kind('user', 409, 'Choose another name, or change the existing one.'),
  ORK_TOO_LARGE: kind('user', 413, 'Send less data; the message names the limit.'),
  ORK_TOO_MANY_REQUESTS: kind('user', 429, 'Wait for the time given in Retry-After, then try again.', true),
  ORK_PLAN_LIMIT: kind(
    'user',
    403,
    "Move the team to a plan that includes it: run `orkestr-hub plan` as root on the hub's host.",
  ),
  ORK_INTERNAL: kind('hub', 500, 'Try again. If this persists, check the log of the process that answered.', true),
  ORK_HUB_UNREACHABLE: kind('hub', 503, 'Check the address of the hub, and that the hub is running.', true),
  ORK_JOIN_TOKEN: kind('user', 401, 'Create a new join token: each works for one host and for a limited time.'),
  ORK_HOST_OFFLINE: kind('host', 503, 'Start orkestr-agent on the host, or check `orkestr-agent status` there.', true),
  ORK_HUB_BUSY: kind(
    'hub',
    503,
    "Try again. If this persists, stop whatever else is using the hub's database. To copy it, use `orkestr-hub backup`, which does not block it.",
    true,
  ),
  ORK_HOST_LOST: kind('host', 503, 'The host did not reconnect in time. Check it, then deploy again.', true),
  ORK_UPGRADE_UNSUPPORTED: kind(
    'host',
    501,
    "Upgrade on the host itself: run the hub's install command there again, or update the sources it runs from.",
  ),
  ORK_UPGRADE_UNSERVED: kind(
    'user',
    409,
    "Request the version that the hub offers. To offer another one, upgrade the hub to it first, then put that release into the hub's folder ORKESTR_HUB_RELEASES.",
  ),
  ORK_UPGRADE_TIMEOUT: kind(
    'host',
    504,
    'Check `orkestr-agent status` on the host, then resume the upgrade or skip the host.',
    true,
  ),
  ORK_UPGRADE_RUNNING: kind(
    'host',
    409,
    'Wait for the running upgrade to finish: `orkestr-agent upgrade --follow` shows its progress.',
    true,
  ),
  ORK_UPGRADE_VERSION: kind(
    'user',
    409,
    'The hub cannot downgrade a host. Run `orkestr-agent upgrade --version VERSION` on the host; for an older version, add `--allow-downgrade`.',
  ),
  ORK_UPGRADE_SOURCE: kind(
    'user',
    404,
    'Pass --from FOLDER with the files of a release, or a --version that the hub offers.',
  ),
  ORK_UPGRADE_FETCH: kind('host', 502, 'Check the network of the host and the address that the message names.', true),
  ORK_UPGRADE_SIGNATURE: kind(
    'user',
    400,
    'Do not use this release: it was not signed by the publisher of the running one. Download it again from the original source. If the publisher has changed keys, see docs/upgrade.md.',
  ),
  ORK_UPGRADE_UNPACK: kind('host', 500, 'Free some disk space under /opt, then try again.', true),
  ORK_UPGRADE_TRIAL: kind(
    'host',
    500,
    'Nothing was changed. Fix the problem that the evidence names, or stay on the running version.',
  ),
  ORK_UPGRADE_UNHEALTHY: kind(
    'host',
    500,
    'The previous version is running again. To see the output of the new one, run `journalctl -u "orkestr-*" --since -15min`.',
  ),
  ORK_UPGRADE_STUCK: kind(
    'host',
    500,
    'Neither version started. Run `orkestr-agent doctor` on the host to see what is wrong.',
  ),
  ORK_UPGRADE_INTERRUPTED: kind(
    'host',
    500,
    'The upgrade will not continue. Run `orkestr-agent doctor`, then upgrade again.',
    true,
  ),

  // Wire
  ORK_PROTOCOL: kind('hub', 400, 'Check the address, and upgrade both sides to compatible versions.'),
  ORK_PROTOCOL_AGENT_OLD: kind(
    'host',
    400,
    "Upgrade orkestr on the host: run the hub's install command there again. Apps keep running meanwhile.",
  ),
  ORK_PROTOCOL_HUB_OLD: kind('hub', 400, 'Upgrade the hub first, then its hosts. The host reconnects by itself.'),
  ORK_CODE_UNKNOWN: kind('hub', 500, 'Upgrade this side: the other side is newer and can explain the error.'),
  ORK_SIGNATURE: kind(
    'hub',
    401,
    'The message was not signed with the key that this side knows. If the hub was replaced, enrol the host again.',
  ),
  ORK_HOST_TWICE: kind(
    'host',
    409,
    'On the copy, run `orkestr-agent leave`, then the command that `orkestr hosts add NAME` prints, to join it as a separate host.',
  ),
  ORK_JOB_REFUSED: kind(
    'hub',
    400,
    'The job is for another host, or this version cannot read it. Check the host and the versions.',
  ),
  ORK_GENERATION_STALE: kind(
    'hub',
    409,
    'Nothing to do: the host has already received a newer deployment of this environment.',
  ),
  ORK_ROUTE_TAKEN: kind('user', 409, 'Another environment uses this domain and path. Remove them there first.'),
  ORK_PROXY_UNREACHABLE: kind('host', 503, 'Start orkestr-proxy on the host.', true),
  ORK_PROXY_HAND_OVER: kind('host', 500, 'Check the log of the proxy. The running proxy keeps serving.', true),
  ORK_TABLE_UNREADABLE: kind(
    'host',
    500,
    'Both copies of the table file are damaged. Move them out of the way and deploy again.',
  ),
  ORK_QUEUE_FULL: kind('host', 503, 'The agent has too many waiting jobs. Try again when some have finished.', true),

  ...DEPLOYMENT_ERRORS,

  // app logs
  ORK_APP_NOT_LIVE: kind('user', 409, 'Deploy it. If a deployment has failed, `orkestr logs` shows why.'),
  ORK_APP_LOG_GONE: kind(
    'host',
    404,
    'Something other than orkestr removed the container. The agent starts the app again within a minute; use `--follow` to wait for it.',
    true,
  ),

  // cutover and finalize
  ORK_APP_REGRESSED: kind(
    'app',
    422,
    'The old version is serving again. Fix the problem that the evidence shows, then deploy again.',
  ),
  ORK_CUTOVER_FAILED: kind(
    'host',
    500,
    'The proxy refused the new version; the old one keeps serving. Deploy again.',
    true,
  ),

  // visitors' requests, on the pages of the edge proxy
  ORK_HOST_UNKNOWN: kind(
    'user',
    404,
    'Check the address. If you own this site, add the domain to an environment that is live.',
  ),
  ORK_APP_UNREACHABLE: kind('app', 502, 'The app refused or dropped the connection. Check its log.', true),
  ORK_APP_UNAVAILABLE: kind('app', 503, 'No running instance of the app is accepting requests. Try again.', true),
  ORK_APP_TIMEOUT: kind(
    'app',
    504,
    'The app did not respond in time. Try again, or check its log. If it needs longer, raise edge.responseSeconds of its environment.',
    true,
  ),
  ORK_ADDRESS_REFUSED: kind('user', 403, 'The app only accepts certain client addresses. Ask its owner to add yours.'),
  ORK_MAINTENANCE: kind('app', 503, 'The owner has put the app into maintenance. Try again later.', true),

  // certificates of the edge proxy
  ORK_CERTIFICATE_UNUSABLE: kind(
    'user',
    422,
    'Fix the certificate or key file that the message names. The user orkestr-proxy must be able to read it.',
  ),
  ORK_CERTIFICATE_NONE: kind('user', 422, 'Put NAME.crt and NAME.key into the certificates folder, or configure ACME.'),
  ORK_CERTIFICATE_EXPIRED: kind('user', 422, 'Replace the certificate, or fix whatever prevents its renewal.'),
  ORK_CERTIFICATE_STAPLE: kind(
    'host',
    502,
    'Make sure the host can reach the OCSP responder of the CA, or replace the certificate if it was revoked.',
    true,
  ),
  ORK_ACME_WILDCARD: kind(
    'user',
    422,
    'Put a certificate file for the wildcard into the certificates folder: CAs issue wildcards only through a DNS challenge, which orkestr does not do.',
  ),
  ORK_ACME_DNS: kind(
    'user',
    422,
    'Point the A and AAAA records of the domain to this host, and only to it. A CDN in between must pass /.well-known/acme-challenge/ on over http, without a redirect (docs/tls.md).',
    true,
  ),
  ORK_ACME_CHALLENGE: kind('user', 422, 'Make ports 80 and 443 of this host reachable from the internet.', true),
  ORK_ACME_REFUSED: kind(
    'user',
    422,
    'The CA refuses to issue for this domain. Check the reason it gives, and the CAA records of the domain.',
    true,
  ),
  ORK_ACME_ACCOUNT: kind(
    'user',
    422,
    'The CA does not accept the account. Correct its e-mail address, or use another CA.',
  ),
  ORK_ACME_LIMIT: kind('user', 429, 'Wait: the CA accepts no more orders for now. orkestr retries by itself.', true),
  ORK_ACME_UNREACHABLE: kind('host', 502, 'Check the CA directory URLs, and that the host can reach them.', true),

  // host
  ORK_ENGINE_UNREACHABLE: kind(
    'host',
    503,
    'Docker Engine does not answer. Start it, then check `orkestr-agent status`.',
    true,
  ),
  ORK_ENGINE_TIMEOUT: kind('host', 503, 'Docker Engine accepts connections but does not answer. Restart it.', true),
  ORK_DISK_FULL: kind('host', 507, 'Free some disk space on the host: `orkestr-agent doctor disk` shows how.', true),
  ORK_SUBNET_NONE: kind(
    'host',
    503,
    'Remove unused Docker networks, or add `default-address-pools` in /etc/docker/daemon.json and restart Docker Engine: with live-restore, apps keep running meanwhile.',
  ),
  ORK_FIREWALL: kind(
    'host',
    500,
    'Make `iptables -t mangle -S` work on the host: it needs the programs iptables and ip6tables, and the modules of the running kernel.',
    true,
  ),
  ORK_CANCELLED: kind('user', 409, 'Nothing to do: somebody cancelled it.'),
  ORK_INTERRUPTED: kind('host', 500, 'The agent was stopped midway and could not resume. Deploy again.', true),
  ORK_AGENT_DIED: kind(
    'host',
    500,
    'Find out on the host why the agent died: `journalctl -u orkestr-agent -n 100 --no-pager`. Fix that, or the change in this commit that causes it; then deploy again.',
  ),
  ORK_AGENT_UNREACHABLE: kind(
    'host',
    503,
    'Start the agent on this host (`systemctl start orkestr-agent`), or restart it after an upgrade. Then try again.',
    true,
  ),
  ORK_ALREADY_RUNNING: kind('host', 409, 'Another process is using this state folder. Stop it first.'),
  ORK_CONFIG: kind('user', 500, 'Correct the setting that the message names.'),
  ORK_IDENTITY_UNREADABLE: kind(
    'host',
    500,
    'Restore the file from a backup. Without a backup, run `orkestr hosts join-token NAME` with the name of this host, then `orkestr-agent join --hub URL --token -` here: the host keeps its id, and its apps keep running.',
  ),
  ORK_BACKUP_UNREADABLE: kind(
    'user',
    422,
    'Use another backup: this file is truncated, was modified, or is not a backup.',
  ),
  ORK_BACKUP_INCOMPLETE: kind(
    'hub',
    500,
    'Push the repository that the message names again from a clone, or delete its project. Then back up again.',
  ),

  // notifications
  ORK_NOTIFY_ADDRESS: kind(
    'user',
    403,
    'Use an address that the hub may send to; see docs/notifications.md for the rule.',
  ),
  ORK_NOTIFY_MAIL: kind('user', 409, 'Configure a mail server for the hub; see docs/notifications.md.'),
  ORK_NOTIFY_DNS: kind('user', 502, 'Check the name in the address, and that the hub can resolve it.', true),
  ORK_NOTIFY_UNREACHABLE: kind(
    'user',
    502,
    'Check that the receiver is running, and that the hub can reach its address and port.',
    true,
  ),
  ORK_NOTIFY_TLS: kind(
    'user',
    502,
    'Give the receiver a certificate that the hub trusts; see docs/notifications.md.',
    true,
  ),
  ORK_NOTIFY_ANSWER: kind(
    'user',
    502,
    'See the message for the answer of the receiver. To change its address, remove the receiver and add a new one.',
    true,
  ),

  // installer
  ORK_MACHINE_UNFIT: kind(
    'host',
    500,
    '`npm start` needs root on a 64-bit Linux with glibc 2.34 or newer, such as Debian 12.',
  ),
  ORK_PREPARE_FAILED: kind(
    'host',
    500,
    'Something that orkestr needs could not be installed or started. Check the log that the message names.',
    true,
  ),
  ORK_REQUEST_LOST: kind(
    'hub',
    500,
    'A visitor did not get a correct answer. This must never happen: keep the logs and report it.',
  ),
} as const satisfies Record<`ORK_${string}`, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;
export const ErrorCode = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);

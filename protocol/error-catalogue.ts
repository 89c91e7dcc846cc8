/**
 * The catalogue of coded errors: what happened, whose fault it is, whether trying again helps, what to do.
 * A code is never reused. `docs/errors.md` has a line for each; a test compares both ways.
 */
import { z } from 'zod';

/** Whose side the mend is on. */
export type Fault = 'user' | 'repository' | 'app' | 'host' | 'hub';

export interface ErrorKind {
  readonly fault: Fault;
  /** True when the same request may succeed later without any change. */
  readonly retry: boolean;
  /** HTTP status when the hub or the proxy's admin API answers with it. */
  readonly status: number;
  /** One sentence: what to do. */
  readonly mend: string;
}

const kind = (fault: Fault, status: number, mend: string, retry = false): ErrorKind => ({ fault, status, mend, retry });

export const ERRORS = {
  // Requests
  ORK_INVALID: kind('user', 400, 'Correct what the message names and try again.'),
  ORK_UNAUTHENTICATED: kind(
    'user',
    401,
    "Log in, or send a valid API token. Where it is lost: `orkestr-hub token`, as root on the hub's host.",
  ),
  ORK_FORBIDDEN: kind('user', 403, 'Use a token with the scope that the answer names.'),
  ORK_NOT_FOUND: kind('user', 404, 'Check the name, and list what there is.'),
  ORK_CONFLICT: kind('user', 409, 'Choose another name, or change what stands there already.'),
  ORK_TOO_LARGE: kind('user', 413, 'Send less; the answer names the limit.'),
  ORK_TOO_MANY_REQUESTS: kind('user', 429, 'Wait as long as Retry-After says.', true),
  ORK_PLAN_LIMIT: kind(
    'user',
    403,
    "Move the team to a plan that has it: `orkestr-hub plan`, as root on the hub's host.",
  ),
  ORK_INTERNAL: kind('hub', 500, 'Try again; when it stays, look at the log of the process that answered.', true),
  ORK_HUB_UNREACHABLE: kind('hub', 503, 'Check the address of the hub and that it runs.', true),
  ORK_JOIN_TOKEN: kind('user', 401, 'Make a new join token: each is good for one host and a limited time.'),
  ORK_HOST_OFFLINE: kind(
    'host',
    503,
    'Start orkestr-agent on the host, or look at `orkestr-agent status` there.',
    true,
  ),
  ORK_HUB_BUSY: kind(
    'hub',
    503,
    'Try again. If it stays so, end what works on the database of the hub; `orkestr-hub backup` copies it without holding it up.',
    true,
  ),
  ORK_HOST_LOST: kind('host', 503, 'The host did not come back in time. Check it, then deploy again.', true),
  ORK_UPGRADE_UNSUPPORTED: kind(
    'host',
    501,
    'Upgrade it on the host: run the install line of the hub there again, or update the sources it runs from.',
  ),
  ORK_UPGRADE_UNSERVED: kind(
    'user',
    409,
    'Order the version that the hub hands on; put another release into its folder ORKESTR_HUB_RELEASES, the hub itself first.',
  ),
  ORK_UPGRADE_TIMEOUT: kind(
    'host',
    504,
    'Look at `orkestr-agent status` on the host, then resume the upgrade, or skip the host.',
    true,
  ),
  ORK_UPGRADE_RUNNING: kind(
    'host',
    409,
    'Wait for the one that is under way: `orkestr-agent upgrade --follow` shows it.',
    true,
  ),
  ORK_UPGRADE_VERSION: kind(
    'user',
    409,
    'Name a newer version with --version; an older one needs --allow-downgrade beside it.',
  ),
  ORK_UPGRADE_SOURCE: kind(
    'user',
    404,
    'Give --from FOLDER with the files of a release, or a --version that the hub hands on.',
  ),
  ORK_UPGRADE_FETCH: kind('host', 502, 'Check the network of the host and the address that the message names.', true),
  ORK_UPGRADE_SIGNATURE: kind(
    'user',
    400,
    'Do not use it: it is not from who made the release that runs. Fetch it again from where that one came from. Where its maker has changed the key: docs/upgrade.md.',
  ),
  ORK_UPGRADE_UNPACK: kind('host', 500, 'Free some disk below /opt, then try again.', true),
  ORK_UPGRADE_TRIAL: kind(
    'host',
    500,
    'Nothing was changed. Mend what the evidence names, or stay with the version that runs.',
  ),
  ORK_UPGRADE_UNHEALTHY: kind(
    'host',
    500,
    'The version before it runs again. `journalctl -u "orkestr-*" --since -15min` has what the new one said.',
  ),
  ORK_UPGRADE_STUCK: kind(
    'host',
    500,
    'Neither version came up. `orkestr-agent doctor` says what is wrong on this host.',
  ),
  ORK_UPGRADE_INTERRUPTED: kind(
    'host',
    500,
    'Nothing goes on with it. `orkestr-agent doctor` first, then upgrade again.',
    true,
  ),

  // Wire
  ORK_PROTOCOL: kind('hub', 400, 'Check the address, and bring both sides to versions that know each other.'),
  ORK_PROTOCOL_AGENT_OLD: kind(
    'host',
    400,
    'Upgrade orkestr on the host: run the install line of the hub there again. Its apps run on meanwhile.',
  ),
  ORK_PROTOCOL_HUB_OLD: kind('hub', 400, 'Upgrade the hub first, then its hosts. The host comes back by itself.'),
  ORK_CODE_UNKNOWN: kind('hub', 500, 'Upgrade this side: the other one is newer and knows more about it.'),
  ORK_SIGNATURE: kind(
    'hub',
    401,
    'The message was not signed by the key this side knows. Enrol the host again if its hub was replaced.',
  ),
  ORK_HOST_TWICE: kind(
    'host',
    409,
    'On the one that is the copy: `orkestr-agent leave`, then the line of `orkestr hosts add NAME` for a host of its own.',
  ),
  ORK_JOB_REFUSED: kind(
    'hub',
    400,
    'The job is not for this host or not readable by this version. Check host and versions.',
  ),
  ORK_GENERATION_STALE: kind('hub', 409, 'A newer deployment of this environment has been here. Nothing to do.'),
  ORK_ROUTE_TAKEN: kind('user', 409, 'Another environment has this domain and path. Remove it there first.'),
  ORK_PROXY_UNREACHABLE: kind('host', 503, 'Start orkestr-proxy on the host.', true),
  ORK_PROXY_HAND_OVER: kind('host', 500, 'Look at the log of the proxy; the one that runs serves on.', true),
  ORK_TABLE_UNREADABLE: kind(
    'host',
    500,
    'Both copies of the table file are damaged. Move them away and deploy again.',
  ),
  ORK_QUEUE_FULL: kind('host', 503, 'The agent has too many jobs waiting. Try again when some are done.', true),

  // clone
  ORK_URL_REFUSED: kind('user', 400, 'Give an https URL of a repository, without user, query or options.'),
  ORK_REF_REFUSED: kind('user', 400, 'Give a plain branch name or a full commit id.'),
  ORK_BRANCH_UNKNOWN: kind('user', 404, 'Push the branch, or set the environment to one that exists.'),
  ORK_COMMIT_UNKNOWN: kind(
    'repository',
    404,
    'The commit is no longer reachable on the remote (force-pushed away?). Push it again.',
  ),
  ORK_REPO_ACCESS: kind('user', 403, 'Check that the URL is right and give a token that may read it.'),
  ORK_REPO_ADDRESS: kind(
    'user',
    403,
    'Give a repository outside of the hub itself; docs/notifications.md has the rule, which is the same.',
  ),
  ORK_REPO_EMPTY: kind('repository', 404, 'Push a first commit.'),
  ORK_REPO_UNREACHABLE: kind('host', 502, 'The git server did not answer. Try again.', true),
  ORK_REPO_TOO_LARGE: kind(
    'repository',
    413,
    'Take large files out of the repository: docs/build-inputs.md has the limits.',
  ),
  ORK_REPO_UNSAFE: kind('repository', 400, 'A link in the repository leads out of it. Remove it.'),
  ORK_CLONE_FAILED: kind('repository', 500, 'Look at the log of the clone step.', true),

  // analyze
  ORK_NOTHING_DETECTED: kind(
    'repository',
    422,
    'Add a Dockerfile, or one of the files that were looked for; set the root directory if the app is in a subfolder.',
  ),
  ORK_APP_AMBIGUOUS: kind(
    'user',
    422,
    'Set the root directory of the environment to one of the folders that the message names.',
  ),
  ORK_COMPOSE_FILE: kind(
    'repository',
    422,
    'Make one environment per service of the compose file, each with its root directory or Dockerfile.',
  ),
  ORK_ROOT_MISSING: kind('user', 422, 'Set the root directory of the environment to a folder of the repository.'),
  ORK_MANIFEST_INVALID: kind('repository', 422, 'Mend the file that the message names.'),
  ORK_DOCKERFILE_REFUSED: kind('repository', 422, 'Change the line of the Dockerfile that the message names.'),

  // build
  ORK_BUILD_FAILED: kind('repository', 422, 'A command of the build failed. Its output is the end of the build log.'),
  ORK_BUILD_MEMORY: kind(
    'repository',
    422,
    'Raise the build memory of the environment, or make the build smaller; unless it is the host that had none left.',
  ),
  ORK_BUILD_TIMEOUT: kind(
    'repository',
    422,
    'Raise the build time limit, or find what hangs at the end of the build log.',
  ),
  ORK_BUILD_DISK: kind(
    'repository',
    422,
    'Let the build write less, or raise its disk limit. The build disk of the host may be too small for it.',
  ),
  ORK_BUILD_INODES: kind('repository', 422, 'Let the build make fewer files, or raise its limit of files.'),
  ORK_BUILD_PROCESSES: kind(
    'repository',
    422,
    'Let the build start fewer processes at a time, or raise its limit of processes.',
  ),
  ORK_BUILD_LOG: kind('repository', 422, 'Let the build say less, or raise its limit of log.'),
  ORK_CONTEXT_TOO_LARGE: kind(
    'repository',
    413,
    'Name what the build does not need in .dockerignore, or raise the limit of the context.',
  ),
  ORK_CONTEXT_CHANGED: kind(
    'host',
    500,
    'Something on the host changed the files of the checkout, or they cannot be read. Deploy again.',
    true,
  ),
  ORK_IMAGE_TOO_LARGE: kind(
    'repository',
    413,
    'Copy only what runs into the last stage, or raise the limit of the image.',
  ),
  ORK_BUILD_FEATURE: kind(
    'repository',
    422,
    'Write the line that the message names without it, or bring Docker Engine on the host to the version named.',
  ),
  ORK_BUILD_SECRET: kind('user', 422, 'Set the build secret with `orkestr env set --build NAME=-`, then deploy again.'),
  ORK_BASE_IMAGE: kind(
    'host',
    502,
    'The base image could not be had. On a host without registry: `orkestr-agent base-images build`.',
    true,
  ),
  ORK_IMAGE_DAMAGED: kind(
    'host',
    500,
    'Deploy again: the build cache was emptied. When it comes back, check the disk of the host.',
    true,
  ),
  ORK_BUILD_NOWHERE: kind(
    'user',
    422,
    'Set the registry of the environment (`--setting registry=HOST/TEAM/APP`), and let a host of the team build (`orkestr hosts set HOST --builds yes`).',
  ),
  ORK_REGISTRY_LOGIN: kind(
    'user',
    401,
    'Give the login for the registry with `orkestr registry add`, then deploy again.',
  ),
  ORK_REGISTRY_DENIED: kind(
    'user',
    403,
    'Let the login push to and pull from the repository that the message names; with some registries it has to be made first.',
  ),
  ORK_REGISTRY_UNREACHABLE: kind(
    'host',
    502,
    'Check that the registry runs and that the host reaches it by HTTPS with a certificate that it trusts.',
    true,
  ),
  ORK_REGISTRY_FAILED: kind(
    'host',
    502,
    'The registry or the engine could not do it: the evidence is what it says.',
    true,
  ),
  ORK_IMAGE_GONE: kind('user', 404, 'The registry does not have the image any more. Deploy its commit again.'),
  ORK_IMAGE_DIGEST: kind(
    'host',
    502,
    'The registry gave something else than what was pushed. Check its storage, then deploy the commit again.',
  ),
  ORK_SANDBOX: kind('host', 500, 'The build engine did not start. Look at `orkestr-agent status`.', true),

  // deploy and health
  ORK_START_FAILED: kind('app', 422, 'The container could not be started. Check the start command.'),
  ORK_APP_EXITED: kind('app', 422, 'The app ended by itself. Its last lines say why.'),
  ORK_APP_MEMORY: kind(
    'app',
    422,
    'Raise the memory limit of the environment, or find the leak. Files in /tmp count, too.',
  ),
  ORK_PORT_CLOSED: kind('app', 422, 'The app opened no port in time. Let it listen on 0.0.0.0 and the port in $PORT.'),
  ORK_PORT_WRONG: kind(
    'app',
    422,
    'The app listens on another port. Let it read $PORT, or set the port of the environment.',
  ),
  ORK_PORT_LOOPBACK: kind('app', 422, 'The app listens on loopback only. Let it bind 0.0.0.0.'),
  ORK_UNHEALTHY: kind('app', 422, 'The app runs but its health check fails. Mend the app, or change the check.'),

  // app logs
  ORK_APP_NOT_LIVE: kind('user', 409, 'Deploy it; when a deployment of it failed, `orkestr logs` says why.'),
  ORK_APP_LOG_GONE: kind(
    'host',
    404,
    'Follow it (`--follow`): the agent starts the app again within a minute. Something else than orkestr removed it.',
    true,
  ),

  // cutover and finalize
  ORK_APP_REGRESSED: kind('app', 422, 'The old version serves again. Mend what the evidence tells, then deploy again.'),
  ORK_CUTOVER_FAILED: kind('host', 500, 'The proxy refused the new target. The old one serves on.', true),

  // visitors' requests, on the pages of the edge proxy
  ORK_HOST_UNKNOWN: kind('user', 404, 'Check the address; its owner: add the domain to an environment and deploy it.'),
  ORK_APP_UNREACHABLE: kind('app', 502, 'The app refused or broke the connection. Look at its log.', true),
  ORK_APP_UNAVAILABLE: kind('app', 503, 'No running copy of the app takes requests now. Try again.', true),
  ORK_APP_TIMEOUT: kind('app', 504, 'The app did not answer in time. Look at its log, or try again.', true),
  ORK_ADDRESS_REFUSED: kind('user', 403, 'The app serves some addresses only. Ask its owner to add yours.'),
  ORK_MAINTENANCE: kind('app', 503, 'Come back later; its owner has closed the app for a while.', true),

  // certificates of the edge proxy
  ORK_CERTIFICATE_UNUSABLE: kind(
    'user',
    422,
    'Mend the certificate or key file that the message names. The user orkestr-proxy must be able to read it.',
  ),
  ORK_CERTIFICATE_NONE: kind('user', 422, 'Put NAME.crt and NAME.key into the certificates folder, or configure ACME.'),
  ORK_CERTIFICATE_EXPIRED: kind('user', 422, 'Replace the certificate, or mend what keeps it from being renewed.'),
  ORK_CERTIFICATE_STAPLE: kind(
    'host',
    502,
    'Let the host reach the OCSP responder of the CA, or replace the certificate if it was revoked.',
    true,
  ),
  ORK_ACME_WILDCARD: kind(
    'user',
    422,
    'Put a certificate file for the wildcard into the certificates folder: it can only be had by a DNS challenge.',
  ),
  ORK_ACME_DNS: kind('user', 422, 'Point the A and AAAA records of the domain at this host, and only at it.', true),
  ORK_ACME_CHALLENGE: kind('user', 422, 'Let ports 80 and 443 of this host be reached from the internet.', true),
  ORK_ACME_REFUSED: kind(
    'user',
    422,
    'The CA does not issue for this domain: look at its reason and at CAA records.',
    true,
  ),
  ORK_ACME_ACCOUNT: kind('user', 422, 'Correct what the CA wants of its account: the e-mail address, or another CA.'),
  ORK_ACME_LIMIT: kind('user', 429, 'Wait: the CA takes no more orders for now. It is asked again by itself.', true),
  ORK_ACME_UNREACHABLE: kind('host', 502, 'Check the CA directory URLs and that the host reaches them.', true),

  // host
  ORK_ENGINE_UNREACHABLE: kind(
    'host',
    503,
    'Docker Engine does not answer. Start it, look at `orkestr-agent status`.',
    true,
  ),
  ORK_ENGINE_TIMEOUT: kind('host', 503, 'Docker Engine accepts calls and does not answer them. Restart it.', true),
  ORK_DISK_FULL: kind('host', 507, 'Free some disk on the host: `orkestr-agent doctor disk` says how.', true),
  ORK_SUBNET_NONE: kind(
    'host',
    503,
    'Take away Docker networks that nobody needs, or give Docker Engine more `default-address-pools` in /etc/docker/daemon.json and restart it: with live-restore apps run on meanwhile.',
  ),
  ORK_FIREWALL: kind(
    'host',
    500,
    'Let `iptables -t mangle -S` work on the host: the programs iptables and ip6tables, and modules of the kernel that runs.',
    true,
  ),
  ORK_CANCELLED: kind('user', 409, 'Nothing: it was asked for.'),
  ORK_INTERRUPTED: kind('host', 500, 'The agent stopped in the middle and could not go on. Deploy again.', true),
  ORK_AGENT_UNREACHABLE: kind(
    'host',
    503,
    'Start the agent on this host (`systemctl start orkestr-agent`), or restart it after an upgrade. Then try again.',
    true,
  ),
  ORK_ALREADY_RUNNING: kind('host', 409, 'Another process uses this state folder. Stop it first.'),
  ORK_CONFIG: kind('user', 500, 'Correct the setting that the message names.'),
  ORK_IDENTITY_UNREADABLE: kind(
    'host',
    500,
    'Restore the file from a backup. Without one: `orkestr hosts join-token NAME` with the name of this host, then here `orkestr-agent join --hub URL --token -`: it keeps its id, and its apps run on.',
  ),
  ORK_BACKUP_UNREADABLE: kind('user', 422, 'Take another backup: this one was cut off, changed, or is something else.'),
  ORK_BACKUP_INCOMPLETE: kind(
    'hub',
    500,
    'Push the repository that the message names again from a clone, or delete its project; then back up again.',
  ),

  // notifications
  ORK_NOTIFY_ADDRESS: kind(
    'user',
    403,
    'Give an address outside of the hub itself; docs/notifications.md has the rule.',
  ),
  ORK_NOTIFY_MAIL: kind('user', 409, 'Set a mail server for the hub: docs/notifications.md.'),
  ORK_NOTIFY_DNS: kind('user', 502, 'Check the name in the address, and that the hub can look it up.', true),
  ORK_NOTIFY_UNREACHABLE: kind('user', 502, 'Check that it runs, and that the hub reaches its address and port.', true),
  ORK_NOTIFY_TLS: kind('user', 502, 'Give it a certificate that the hub trusts: docs/notifications.md.', true),
  ORK_NOTIFY_ANSWER: kind('user', 502, 'Look at what it says to it. A new address is a new receiver.', true),

  // installer
  ORK_MACHINE_UNFIT: kind('host', 500, 'Use root on a 64-bit Linux with glibc 2.34 or newer, such as Debian 12.'),
  ORK_PREPARE_FAILED: kind(
    'host',
    500,
    'Something orkestr needs could not be installed or started. Its log says why.',
    true,
  ),
  ORK_REQUEST_LOST: kind(
    'hub',
    500,
    'A visitor got no right answer. Keep the logs and report it: it must never happen.',
  ),
} as const satisfies Record<`ORK_${string}`, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;
export const ErrorCode = z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]);

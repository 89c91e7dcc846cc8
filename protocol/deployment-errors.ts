/** Errors of the steps of a deployment up to health. Part of error-catalogue.ts. */
import { kind } from './error-kind.ts';
import type { ErrorKind } from './error-kind.ts';

export const DEPLOYMENT_ERRORS = {
  // clone
  ORK_URL_REFUSED: kind('user', 400, 'Use an https URL of a repository, without user, query or options.'),
  ORK_REF_REFUSED: kind('user', 400, 'Use a plain branch name or a full commit id.'),
  ORK_BRANCH_UNKNOWN: kind('user', 404, 'Push the branch, or set the environment to a branch that exists.'),
  ORK_COMMIT_UNKNOWN: kind(
    'repository',
    404,
    'The remote no longer has the commit (was it force-pushed away?). Push it again.',
  ),
  ORK_REPO_ACCESS: kind(
    'user',
    403,
    'Check the URL, and set a token that may read the repository: `orkestr project set NAME --repository-token-stdin`.',
  ),
  ORK_REPO_ADDRESS: kind(
    'user',
    403,
    'Use a repository at an address that the hub may connect to; the rule is the one in docs/notifications.md.',
  ),
  ORK_REPO_EMPTY: kind('repository', 404, 'Push a first commit.'),
  ORK_REPO_UNREACHABLE: kind('host', 502, 'The git server did not answer. Try again.', true),
  ORK_REPO_TOO_LARGE: kind(
    'repository',
    413,
    'Remove large files from the repository; see docs/build-inputs.md for the limits.',
  ),
  ORK_REPO_UNSAFE: kind(
    'repository',
    400,
    'Remove the link that points outside the repository, or rename the file; the message names it.',
  ),
  ORK_CLONE_FAILED: kind('repository', 500, 'Check the log of the clone step.', true),

  // analyze
  ORK_NOTHING_DETECTED: kind(
    'repository',
    422,
    'Add a Dockerfile or one of the files listed. If the app is in a subfolder, set the root directory.',
  ),
  ORK_APP_AMBIGUOUS: kind(
    'user',
    422,
    'Set the root directory of the environment to one of the folders that the message names.',
  ),
  ORK_COMPOSE_FILE: kind(
    'repository',
    422,
    'Create one environment for each service of the compose file that the repository builds, with its own root directory or Dockerfile. Databases and caches you run yourself: see docs/services.md.',
  ),
  ORK_ROOT_MISSING: kind('user', 422, 'Set the root directory of the environment to a folder of the repository.'),
  ORK_ANALYSIS_LIMIT: kind(
    'repository',
    422,
    'Remove generated and very large files from the repository, or set the root directory of the environment to the folder of the app.',
  ),
  ORK_MANIFEST_INVALID: kind('repository', 422, 'Fix the file that the message names.'),
  ORK_DOCKERFILE_REFUSED: kind('repository', 422, 'Change the Dockerfile line or build arg that the message names.'),

  // build
  ORK_BUILD_FAILED: kind('repository', 422, 'A build command failed. See its output at the end of the build log.'),
  ORK_BUILD_MEMORY: kind(
    'repository',
    422,
    "Raise the environment's build memory, or reduce what the build needs. If the message says that the host ran out of memory, add memory or swap there.",
  ),
  ORK_BUILD_TIMEOUT: kind(
    'repository',
    422,
    'Raise the build time limit, or check the end of the build log for the command that hangs.',
  ),
  ORK_BUILD_DISK: kind(
    'repository',
    422,
    "Make the build write less, or raise its disk limit. The host's build disk may also be too small.",
  ),
  ORK_BUILD_INODES: kind('repository', 422, 'Make the build create fewer files, or raise its file limit.'),
  ORK_BUILD_PROCESSES: kind(
    'repository',
    422,
    'Make the build run fewer processes at a time, or raise its process limit.',
  ),
  ORK_BUILD_LOG: kind('repository', 422, 'Make the build print less, or raise its log limit.'),
  ORK_CONTEXT_TOO_LARGE: kind(
    'repository',
    413,
    'List files that the build does not need in .dockerignore, or raise the context limit.',
  ),
  ORK_CONTEXT_CHANGED: kind(
    'host',
    500,
    'Something on the host changed the checked-out files, or they cannot be read. Deploy again.',
    true,
  ),
  ORK_IMAGE_TOO_LARGE: kind(
    'repository',
    413,
    'Copy only what the app needs to run into the last stage, or raise the image limit.',
  ),
  ORK_BUILD_FEATURE: kind(
    'repository',
    422,
    'Rewrite the named line without this feature, or upgrade Docker Engine on the host to the named version.',
  ),
  ORK_BUILD_SECRET: kind('user', 422, 'Set the build secret with `orkestr env set --build NAME=-`, then deploy again.'),
  ORK_BASE_IMAGE: kind(
    'host',
    502,
    'The base image could not be fetched. If the host cannot reach a registry, run `orkestr-agent base-images build` there.',
    true,
  ),
  ORK_IMAGE_DAMAGED: kind(
    'host',
    500,
    "Deploy again: the build cache was cleared. If this recurs, check the host's disk.",
    true,
  ),
  ORK_BUILD_NOWHERE: kind(
    'user',
    422,
    'Set the registry of the environment (`--setting registry=HOST/TEAM/APP`), and allow a host of the team to build (`orkestr hosts set HOST --builds yes`).',
  ),
  ORK_REGISTRY_LOGIN: kind('user', 401, 'Add a login for the registry with `orkestr registry add`, then deploy again.'),
  ORK_REGISTRY_DENIED: kind(
    'user',
    403,
    'Allow the login to push to and pull from the repository that the message names. Some registries require that you create it first.',
  ),
  ORK_REGISTRY_UNREACHABLE: kind(
    'host',
    502,
    'Check that the registry is running, and that the host can reach it over HTTPS and trusts its certificate.',
    true,
  ),
  ORK_REGISTRY_FAILED: kind(
    'host',
    502,
    'The registry or Docker Engine reported an error: see the evidence. Try again.',
    true,
  ),
  ORK_IMAGE_GONE: kind('user', 404, 'The registry no longer has the image. Deploy its commit again.'),
  ORK_IMAGE_DIGEST: kind(
    'host',
    502,
    'The registry returned something other than what was pushed. Check its storage, then deploy the commit again.',
  ),
  ORK_SANDBOX: kind('host', 500, 'The build engine did not start. Check `orkestr-agent status` on the host.', true),

  // deploy and health
  ORK_START_FAILED: kind('app', 422, 'The container could not be started. Check the start command.'),
  ORK_APP_EXITED: kind('app', 422, 'The app exited by itself. Its last lines of output show why.'),
  ORK_APP_MEMORY: kind(
    'app',
    422,
    'Raise the memory limit of the environment, or find the leak. Files in /tmp count too.',
  ),
  ORK_PORT_CLOSED: kind(
    'app',
    422,
    'The app opened no port in time. Make it listen on 0.0.0.0 and the port in $PORT. If it starts slowly, raise healthCheck.startSeconds. If nothing is to connect to it, make it a background worker: orkestr environment set NAME --worker',
  ),
  ORK_PORT_WRONG: kind(
    'app',
    422,
    'The app listens on another port. Make it read $PORT, or set the port of the environment.',
  ),
  ORK_PORT_LOOPBACK: kind('app', 422, 'The app listens on loopback only. Make it bind to 0.0.0.0.'),
  ORK_UNHEALTHY: kind('app', 422, 'The app runs, but its health check fails. Fix the app, or change the check.'),
} as const satisfies Record<`ORK_${string}`, ErrorKind>;

/** Errors of the steps of a deployment up to health. Part of error-catalogue.ts. */
import { kind } from './error-kind.ts';
import type { ErrorKind } from './error-kind.ts';

export const DEPLOYMENT_ERRORS = {
  // clone
  ORK_URL_REFUSED: kind('user', 400, 'Give an https URL of a repository, without user, query or options.'),
  ORK_REF_REFUSED: kind('user', 400, 'Give a plain branch name or a full commit id.'),
  ORK_BRANCH_UNKNOWN: kind('user', 404, 'Push the branch, or set the environment to one that exists.'),
  ORK_COMMIT_UNKNOWN: kind(
    'repository',
    404,
    'The commit is no longer reachable on the remote (force-pushed away?). Push it again.',
  ),
  ORK_REPO_ACCESS: kind(
    'user',
    403,
    'Check that the URL is right, and give a token that may read it: `orkestr project set NAME --repository-token-stdin`.',
  ),
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
  ORK_REPO_UNSAFE: kind(
    'repository',
    400,
    'Remove the link that leads out of the repository, or rename the file, that the message names.',
  ),
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
  ORK_ANALYSIS_LIMIT: kind(
    'repository',
    422,
    'Take generated and very large files out of the repository, or set the root directory of the environment to the folder of the app.',
  ),
  ORK_MANIFEST_INVALID: kind('repository', 422, 'Mend the file that the message names.'),
  ORK_DOCKERFILE_REFUSED: kind(
    'repository',
    422,
    'Change the line of the Dockerfile, or the build arg, that the message names.',
  ),

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
} as const satisfies Record<`ORK_${string}`, ErrorKind>;

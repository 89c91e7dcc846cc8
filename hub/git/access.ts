/** Access control of the hub's own remote: holders of an API token of the project's team, and the agent that clones. */
import { OrkestrError } from '../../protocol/errors.ts';
import { authenticateToken } from '../auth/identity.ts';
import type { CoreDeps } from '../deps.ts';
import type { Scope } from '../model/scope.ts';
import { findContext, isOpen } from '../store/deployments.ts';
import { getProject } from '../store/projects.ts';
import { readCloneToken } from '../auth/clone-token.ts';
import type { Push } from './push.ts';
import type { Repositories } from './repositories.ts';
import type { GitRequest } from './request.ts';

export interface Access {
  readonly projectId: string;
  /** Key for counting concurrent requests: the token's id, or the deployment's. */
  readonly asker: string;
  /** GIT_PROJECT_ROOT. */
  readonly root: string;
  /** Set for a push that is permitted. */
  readonly push?: Push;
}

const MAY_PUSH: readonly Scope[] = ['git', 'deploy', 'write'];
const MAY_READ: readonly Scope[] = [...MAY_PUSH, 'read'];

/** The password of Basic credentials (RFC 7617); any user name is accepted. */
export function readCredentials(authorization: string | undefined): string | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/]{1,4000}={0,2})$/i.exec(authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  return colon === -1 ? undefined : text.slice(colon + 1);
}

/** @throws OrkestrError ORK_UNAUTHENTICATED, ORK_FORBIDDEN, ORK_NOT_FOUND */
export async function checkAccess(
  deps: CoreDeps & { readonly repositories: Repositories },
  wanted: GitRequest,
  token: string | undefined,
): Promise<Access> {
  const { root } = deps.repositories;
  const pushes = wanted.service === 'git-receive-pack';
  if (token === undefined) throw unauthenticated();
  const claims = readCloneToken(deps.sealer, token);
  if (claims !== undefined) {
    const context = await findContext(deps.db, claims.deploymentId);
    if (pushes || claims.projectId !== wanted.project || context === undefined || !isOpen(context.deployment)) {
      throw new OrkestrError(
        'ORK_FORBIDDEN',
        'This token can only read one project, while one of its deployments runs.',
      );
    }
    return { projectId: claims.projectId, asker: claims.deploymentId, root };
  }
  const identity = await authenticateToken(deps, token);
  if (identity === undefined) throw unauthenticated();
  const needed = pushes ? MAY_PUSH : MAY_READ;
  if (!identity.scopes.some((scope) => needed.includes(scope))) {
    throw new OrkestrError('ORK_FORBIDDEN', `This needs a token with one of the scopes ${needed.join(', ')}.`);
  }
  const project = await getProject(deps.db, identity.teamId, wanted.project);
  if (project.repository_url !== null) {
    throw new OrkestrError('ORK_NOT_FOUND', `The code of ${project.slug} is at ${project.repository_url}, not here.`);
  }
  return {
    projectId: project.id,
    asker: identity.tokenId,
    root,
    ...(pushes ? { push: { projectId: project.id, userId: identity.userId } } : {}),
  };
}

const unauthenticated = (): OrkestrError =>
  new OrkestrError('ORK_UNAUTHENTICATED', 'Give an API token as the password, with any user name.');

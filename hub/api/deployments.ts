/** Deployments: create, read, cancel, roll back. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { Uuid } from '../../protocol/ids.ts';
import { mayFollow, requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { planOf } from '../plans.ts';
import { type DeploymentContext, getDeployment, listDeployments } from '../store/deployments.ts';
import { getEnvironment } from '../store/environments.ts';
import { findRelease } from '../store/releases.ts';
import { getTeam } from '../store/teams.ts';
import { showDeployment, showDeploymentDetail } from './deployment-view.ts';
import { EnvironmentParams, IdParams } from './params.ts';
import { CancelRequest, Deployment, DeploymentDetail, NewDeployment, NewRollback } from './schemas.ts';

const PATH = '/projects/:project/environments/:environment/deployments';
const Page = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(20),
  before: Uuid.optional().describe('id of the last deployment on the previous page'),
});

export function registerDeployments(app: HubApp, deps: HubDeps): void {
  const { db, scheduler, resolver } = deps;
  const tags = ['deployments'];
  const show = async (teamId: string, id: string): Promise<DeploymentDetail> =>
    showDeploymentDetail(deps, await getDeployment(db, teamId, id));

  app.get(
    PATH,
    {
      ...requireScope('read'),
      schema: {
        summary: 'Deployments of an environment, newest first',
        tags,
        params: EnvironmentParams,
        querystring: Page,
        response: { 200: z.array(Deployment) },
      },
    },
    async ({ identity, params, query }) => {
      const place = await getEnvironment(db, identity.teamId, params.project, params.environment);
      const rows = await listDeployments(db, place.environment.id, query);
      return Promise.all(rows.map((deployment) => showDeployment(deps, { ...place, deployment })));
    },
  );

  app.post(
    PATH,
    {
      ...requireScope('deploy'),
      schema: {
        summary: 'Deploy',
        description: "Deploys the newest commit of the environment's branch, or the given commit.",
        tags,
        params: EnvironmentParams,
        body: NewDeployment.nullish(),
        response: { 201: DeploymentDetail },
      },
    },
    async ({ identity, params, body }, reply) => {
      const { environment } = await getEnvironment(db, identity.teamId, params.project, params.environment);
      const commit = body?.commit;
      if (commit !== undefined) await resolver.checkCommit(environment.id, commit);
      const id = await scheduler.create({
        environmentId: environment.id,
        trigger: 'manual',
        ...(commit === undefined ? await resolver.resolve(environment.id) : { commit, branch: environment.branch }),
        userId: identity.userId,
      });
      return reply.code(201).send(await show(identity.teamId, id));
    },
  );

  app.get(
    '/deployments/:id',
    {
      ...mayFollow,
      schema: {
        summary: 'One deployment with its steps',
        tags,
        params: IdParams,
        response: { 200: DeploymentDetail },
      },
    },
    ({ identity, params }) => show(identity.teamId, params.id),
  );

  app.post(
    '/deployments/:id/cancel',
    {
      ...requireScope('deploy'),
      schema: {
        summary: 'Cancel a deployment',
        description:
          'A waiting deployment ends at once; a running one ends when its host has undone its work. An offline host continues by itself and receives the cancel when it reconnects: with `giveUp` the deployment ends here at once as failed (ORK_HOST_LOST), and is shown as live if it turns out to have gone live meanwhile.',
        tags,
        params: IdParams,
        body: CancelRequest.nullish(),
        response: { 202: DeploymentDetail },
      },
    },
    async ({ identity, params, body }, reply) => {
      const { deployment } = await getDeployment(db, identity.teamId, params.id);
      await scheduler.cancel(deployment.id, body?.giveUp);
      return reply.code(202).send(await show(identity.teamId, deployment.id));
    },
  );

  app.post(
    '/deployments/:id/rollback',
    {
      ...requireScope('deploy'),
      schema: {
        summary: 'Roll back to the release of this deployment',
        description:
          'Creates a new deployment. Needs a plan with rollbacks, unless the release is live: it is then deployed again with the current settings.',
        tags,
        params: IdParams,
        body: NewRollback.nullish(),
        response: { 201: DeploymentDetail },
      },
    },
    async ({ identity, params, body }, reply) => {
      const context = await getDeployment(db, identity.teamId, params.id);
      await checkRollback(deps, context);
      const { deployment } = context;
      const id = await scheduler.create({
        environmentId: deployment.environment_id,
        trigger: 'rollback',
        commit: deployment.commit,
        branch: deployment.branch,
        userId: identity.userId,
        rollback: { releaseOf: deployment.id, variables: body?.variables ?? 'current' },
      });
      return reply.code(201).send(await show(identity.teamId, id));
    },
  );
}

/** @throws OrkestrError ORK_PLAN_LIMIT, ORK_CONFLICT */
async function checkRollback({ db }: HubDeps, { deployment, project }: DeploymentContext): Promise<void> {
  const plan = planOf(await getTeam(db, project.team_id));
  // Deploying the live release again is not a rollback.
  if (!plan.rollback && deployment.status !== 'live')
    throw new OrkestrError('ORK_PLAN_LIMIT', `The plan ${plan.name} does not include rollbacks.`);
  if ((await findRelease(db, deployment.id)) === null) {
    throw new OrkestrError(
      'ORK_CONFLICT',
      `The deployment never went live (${deployment.status}), so it has no release.`,
    );
  }
}

/** Receivers of notifications: of a project, or of the team, which get the notices of all its projects. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { KINDS } from '../notify/kinds/index.ts';
import { makeWebhookSecret } from '../notify/kinds/webhook.ts';
import { DEFAULT_NOTICES } from '../model/notice.ts';
import { getProject } from '../store/projects.ts';
import { deleteReceiver, getReceiver, insertReceiver, listReceivers, type ReceiverPlace } from '../store/receivers.ts';
import { ProjectParams, ProjectReceiverParams, ReceiverParams } from './params.ts';
import { receiverView } from './receiver-view.ts';
import { MadeReceiver, NewReceiver, Receiver } from './schemas.ts';

/** Per team or project. A notice is queued for all of them in the transaction of its event. */
const MAX_RECEIVERS = 20;

const tags = ['notifications'];
const List = z.array(Receiver);
const ADDED =
  'The answer names only the destination of a URL, never the URL itself. The signing secret of a webhook is shown only in this answer.';
const TESTED = 'Sends a test at once and reports any failure. Each address accepts one test in 10 s.';

export function registerReceivers(app: HubApp, deps: HubDeps): void {
  const { db, notifier } = deps;
  const atTeam = (teamId: string): ReceiverPlace => ({ teamId, projectId: null });
  const atProject = async (teamId: string, project: string): Promise<ReceiverPlace> => ({
    teamId,
    projectId: (await getProject(db, teamId, project)).id,
  });
  const list = async (...places: ReceiverPlace[]): Promise<Receiver[]> => {
    const rows = await Promise.all(places.map((place) => listReceivers(db, place)));
    return Promise.all(rows.flat().map((row) => receiverView(db, row)));
  };
  const remove = async (place: ReceiverPlace, name: string): Promise<void> =>
    deleteReceiver(db, (await getReceiver(db, place, name)).id);
  const test = async (place: ReceiverPlace, name: string): Promise<void> =>
    notifier.test(await getReceiver(db, place, name));

  app.get(
    '/receivers',
    {
      ...requireScope('read'),
      schema: { summary: 'Receivers for all projects and hosts of the team', tags, response: { 200: List } },
    },
    ({ identity }) => list(atTeam(identity.teamId)),
  );
  app.get(
    '/projects/:project/receivers',
    {
      ...requireScope('read'),
      schema: {
        summary: 'Receivers for a project: its own, then those of the team',
        tags,
        params: ProjectParams,
        response: { 200: List },
      },
    },
    async ({ identity: { teamId }, params }) => list(await atProject(teamId, params.project), atTeam(teamId)),
  );

  app.post(
    '/receivers',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Add a receiver for the team',
        description: ADDED,
        tags,
        body: NewReceiver,
        response: { 201: MadeReceiver },
      },
    },
    async ({ identity, body }, reply) => reply.code(201).send(await add(deps, atTeam(identity.teamId), body)),
  );
  app.post(
    '/projects/:project/receivers',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Add a receiver for a project',
        description: ADDED,
        tags,
        params: ProjectParams,
        body: NewReceiver,
        response: { 201: MadeReceiver },
      },
    },
    async ({ identity, params, body }, reply) =>
      reply.code(201).send(await add(deps, await atProject(identity.teamId, params.project), body)),
  );

  app.delete(
    '/receivers/:receiver',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Remove a receiver of the team',
        tags,
        params: ReceiverParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      await remove(atTeam(identity.teamId), params.receiver);
      return reply.code(204).send(null);
    },
  );
  app.delete(
    '/projects/:project/receivers/:receiver',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Remove a receiver of a project',
        tags,
        params: ProjectReceiverParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      await remove(await atProject(identity.teamId, params.project), params.receiver);
      return reply.code(204).send(null);
    },
  );

  app.post(
    '/receivers/:receiver/test',
    {
      ...requireScope('admin'),
      schema: {
        summary: 'Send a test to a receiver of the team',
        description: TESTED,
        tags,
        params: ReceiverParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      await test(atTeam(identity.teamId), params.receiver);
      return reply.code(204).send(null);
    },
  );
  app.post(
    '/projects/:project/receivers/:receiver/test',
    {
      ...requireScope('write'),
      schema: {
        summary: 'Send a test to a receiver of a project',
        description: TESTED,
        tags,
        params: ProjectReceiverParams,
        response: { 204: z.null() },
      },
    },
    async ({ identity, params }, reply) => {
      await test(await atProject(identity.teamId, params.project), params.receiver);
      return reply.code(204).send(null);
    },
  );
}

async function add(
  { db, sealer, clock, config }: HubDeps,
  place: ReceiverPlace,
  { kind, name = kind, address, notices = [...DEFAULT_NOTICES] }: z.infer<typeof NewReceiver>,
): Promise<MadeReceiver> {
  const shown = KINDS[kind].shown(address, config.mail);
  const secret = KINDS[kind].signs ? makeWebhookSecret() : null;
  const created_at = clock.now().toISOString();
  return db.transaction().execute(async (tx) => {
    const row = { name, kind, shown, kinds: JSON.stringify([...new Set(notices)]), created_at };
    await insertReceiver(tx, sealer, place, row, { address, secret });
    if ((await listReceivers(tx, place)).length > MAX_RECEIVERS) {
      throw new OrkestrError('ORK_TOO_LARGE', `There can be at most ${MAX_RECEIVERS} receivers.`);
    }
    return { ...(await receiverView(tx, await getReceiver(tx, place, name))), secret };
  });
}

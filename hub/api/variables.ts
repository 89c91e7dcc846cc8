/** Variables of an environment and its build secrets: write-only in the API, read only by its deployments. */
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { requireScope } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { getEnvironment } from '../store/environments.ts';
import { changeVariables, listVariables, measureVariables } from '../store/variables.ts';
import { EnvironmentParams } from './params.ts';
import { Variable, VariableChange } from './schemas.ts';

/** Bounded because they travel in one job frame with the settings (MAX_FRAME_BYTES of the agent link). */
const MAX_VARIABLES = 500;
const MAX_SEALED_CHARACTERS = 400_000;

const PATH = '/projects/:project/environments/:environment/variables';
const List = z.array(Variable);

export function registerVariables(app: HubApp, { db, sealer, clock }: HubDeps): void {
  const tags = ['variables'];
  const list = async (environmentId: string): Promise<Variable[]> =>
    (await listVariables(db, environmentId)).map((row) => ({
      kind: row.kind,
      name: row.name,
      updatedAt: row.updated_at,
    }));

  app.get(
    PATH,
    {
      ...requireScope('read'),
      schema: { summary: 'Names of the variables', tags, params: EnvironmentParams, response: { 200: List } },
    },
    async ({ identity, params }) => {
      const { environment } = await getEnvironment(db, identity.teamId, params.project, params.environment);
      return list(environment.id);
    },
  );

  app.patch(
    PATH,
    {
      ...requireScope('write'),
      schema: {
        summary: 'Set and remove variables',
        description:
          'Sets the named variables of the kind, removes those given as null, and leaves the rest. Values are never returned. Changes take effect with the next deployment; variables of the kind `build` are only available to its build.',
        tags,
        params: EnvironmentParams,
        body: VariableChange,
        response: { 200: List },
      },
    },
    async ({ identity, params, body }) => {
      const id = await db.transaction().execute(async (tx) => {
        const { environment } = await getEnvironment(tx, identity.teamId, params.project, params.environment);
        await changeVariables(tx, sealer, environment.id, body.kind, body.variables, clock.now().toISOString());
        const { count, characters } = await measureVariables(tx, environment.id);
        if (count > MAX_VARIABLES || characters > MAX_SEALED_CHARACTERS) {
          throw new OrkestrError(
            'ORK_TOO_LARGE',
            `An environment can have at most ${MAX_VARIABLES} variables and about 290 KB of values; this would exceed that.`,
          );
        }
        return environment.id;
      });
      return list(id);
    },
  );
}

/** The whole log of a deployment as plain text. events.ts streams live logs. */
import { Readable } from 'node:stream';
import { z } from 'zod';
import { StepName } from '../../protocol/steps.ts';
import { mayFollow } from '../auth/hook.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import type { Db } from '../store/database.ts';
import { getDeployment } from '../store/deployments.ts';
import { listLoggedSteps, readLog } from '../store/logs.ts';
import { IdParams } from './params.ts';

const GONE = '[orkestr: this log is gone; the hub keeps only the logs of the newest deployments of each environment]\n';

export function registerLogs(app: HubApp, { db }: HubDeps): void {
  app.get(
    '/deployments/:id/logs',
    {
      ...mayFollow,
      schema: {
        summary: 'Complete log of a deployment',
        description: 'Raw bytes of one step, or of all steps with headings.',
        tags: ['deployments'],
        params: IdParams,
        querystring: z.object({ step: StepName.optional() }),
      },
    },
    async ({ identity, params, query }, reply) => {
      const { deployment } = await getDeployment(db, identity.teamId, params.id);
      const kept = query.step === undefined ? allSteps(db, deployment.id) : readLog(db, deployment.id, query.step);
      const parts = deployment.details_kept === 1 ? kept : [Buffer.from(GONE)];
      return reply
        .type('text/plain; charset=utf-8')
        .header('x-content-type-options', 'nosniff')
        .header('content-disposition', `inline; filename="${deployment.id}.log"`)
        .send(Readable.from(parts, { objectMode: false }));
    },
  );
}

async function* allSteps(db: Db, deploymentId: string): AsyncGenerator<Uint8Array> {
  for (const step of await listLoggedSteps(db, deploymentId)) {
    yield Buffer.from(`=== ${step} ===\n`);
    let last: number | undefined;
    for await (const bytes of readLog(db, deploymentId, step)) {
      last = bytes.at(-1);
      yield bytes;
    }
    if (last !== 0x0a) yield Buffer.from('\n');
  }
}

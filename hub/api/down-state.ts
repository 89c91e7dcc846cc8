/** Live apps that are down, as the API shows them. */
import { ErrorReport } from '../../protocol/errors.ts';
import type { Row } from '../store/schema.ts';
import type { DownState } from './schemas.ts';

type Facts = Pick<Row<'down_app'>, 'deployment_id' | 'since' | 'error' | 'exit_code' | 'restarts'>;

/** Null also for what was known of another deployment than the live one. */
export const downStateOf = (row: Facts | undefined, liveDeploymentId: string | undefined): DownState | null =>
  row === undefined || row.deployment_id !== liveDeploymentId
    ? null
    : {
        since: row.since,
        error: ErrorReport.parse(JSON.parse(row.error)),
        exitCode: row.exit_code,
        restarts: row.restarts,
      };

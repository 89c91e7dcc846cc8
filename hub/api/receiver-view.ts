/** A receiver as the API shows it, without its settings. */
import type { Db } from '../store/database.ts';
import { listRecent } from '../store/deliveries.ts';
import { parseError } from '../store/events.ts';
import type { Row } from '../store/schema.ts';
import { readKinds } from '../notify/queue-notice.ts';
import { Delivery, type Receiver } from './schemas.ts';

export const receiverView = async (db: Db, row: Row<'receiver'>): Promise<Receiver> => ({
  name: row.name,
  kind: row.kind,
  everywhere: row.project_id === null,
  address: row.shown,
  notices: readKinds(row.kinds),
  deliveries: (await listRecent(db, row.id)).map(deliveryView),
  createdAt: row.created_at,
});

const deliveryView = (row: Row<'delivery'>): Delivery => ({
  id: row.id,
  state: row.state,
  notices: Delivery.shape.notices.parse(JSON.parse(row.notices)),
  leftOut: row.left_out,
  attempts: row.attempts,
  error: parseError(row.error),
  createdAt: row.created_at,
  nextTryAt: row.due_at,
  endedAt: row.ended_at,
});

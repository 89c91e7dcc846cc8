/** Texts about the deliveries of a receiver. Pure; shared by the CLI and the console. */
import type { ErrorCode } from '../../../protocol/error-catalogue.ts';
import type { Delivery, Receiver } from '../../api/schemas.ts';
import { formatAge } from './format.ts';

/** `sent 4 min ago`, `given up 2 h ago`, `tried 3 times`, `will be sent soon`. */
export function deliveryLine({ state, attempts, createdAt, endedAt }: Delivery, now: number): string {
  const age = formatAge(endedAt ?? createdAt, now);
  const words = {
    sent: `sent ${age}`,
    'given-up': `given up ${age}`,
    sending: `tried ${attempts === 1 ? 'once' : `${attempts} times`}`,
    collecting: 'will be sent soon',
  } as const satisfies Record<Delivery['state'], string>;
  return words[state];
}

/** Undelivered messages with their topic and the reason; given-up ones are listed until a later one is delivered. */
export function troubleOf({ deliveries }: Receiver): { readonly says: string; readonly code: ErrorCode }[] {
  const arrived = deliveries.findIndex(({ state }) => state === 'sent');
  const newer = arrived === -1 ? deliveries : deliveries.slice(0, arrived);
  return newer.flatMap(({ state, notices, error }) =>
    error === null
      ? []
      : [
          {
            says: `${state === 'given-up' ? 'given up' : 'not delivered yet'}: ${notices[0]?.summary ?? ''}. ${error.message}`,
            code: error.code,
          },
        ],
  );
}

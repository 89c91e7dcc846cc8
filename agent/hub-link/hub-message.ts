/** From a WebSocket message to a message of the hub. */
import type { RawData } from 'ws';
import { HubMessage } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';

/** @throws OrkestrError ORK_PROTOCOL for anything that is not a message of this protocol */
export function readHubMessage(data: RawData, isBinary: boolean): HubMessage {
  const message = HubMessage.safeParse(parseFrame(data, isBinary));
  if (message.success) return message.data;
  const where = message.error.issues[0];
  throw new OrkestrError(
    'ORK_PROTOCOL',
    `The hub sent a message that this version does not understand: ${where?.path.join('.') ?? ''} ${where?.message ?? ''}`,
  );
}

function parseFrame(data: RawData, isBinary: boolean): unknown {
  const text = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
  try {
    if (isBinary) throw new Error('binary frame');
    return JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'The hub sent a frame that is not JSON text.', { cause });
  }
}

/** From the bytes of a frame to a message that has been checked. */
import { AgentMessage } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';

/** @throws OrkestrError ORK_PROTOCOL for everything that is not a message of an agent */
export function readAgentMessage(data: Buffer, isBinary: boolean): AgentMessage {
  if (isBinary) throw new OrkestrError('ORK_PROTOCOL', 'Messages are JSON text frames; this one was binary.');
  const message = AgentMessage.safeParse(parseJson(data.toString('utf8')));
  if (message.success) return message.data;
  const [issue] = message.error.issues;
  const place = issue?.path.join('.') ?? '';
  throw new OrkestrError('ORK_PROTOCOL', `Not a message of an agent: ${place} ${issue?.message ?? 'unknown'}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'A frame is not JSON.', { cause });
  }
}

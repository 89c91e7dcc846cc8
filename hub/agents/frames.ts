/** From the bytes of a frame to a message that has been checked. */
import { AgentMessage } from '../../protocol/agent-link.ts';
import { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';

/** A report of which only the number can be read. It is counted like any other: the host would send it first for ever. */
export interface UnreadableReport {
  readonly type: 'report';
  readonly sequence: number;
  readonly report: null;
  readonly problem: string;
}

const Numbered = z.object({ type: z.literal('report'), sequence: z.int().min(1) });

/** @throws OrkestrError ORK_PROTOCOL for everything that is not a message of an agent */
export function readAgentMessage(data: Buffer, isBinary: boolean): AgentMessage | UnreadableReport {
  if (isBinary) throw new OrkestrError('ORK_PROTOCOL', 'Messages are JSON text frames; this one was binary.');
  const body = parseJson(data.toString('utf8'));
  const message = AgentMessage.safeParse(body);
  if (message.success) return message.data;
  const [issue] = message.error.issues;
  const problem = `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'unknown'}`;
  const numbered = Numbered.safeParse(body);
  if (numbered.success) return { ...numbered.data, report: null, problem };
  throw new OrkestrError('ORK_PROTOCOL', `Not a message of an agent: ${problem}.`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'A frame is not JSON.', { cause });
  }
}

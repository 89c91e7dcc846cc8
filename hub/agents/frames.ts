/** Parses and validates the frames of agents. */
import { z } from 'zod';
import { AgentMessage, Report } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';

export interface NumberedReport {
  readonly type: 'report';
  readonly sequence: number;
  /** Null when it is unreadable. It still counts: otherwise the host would send it forever. */
  readonly report: Report | null;
  /** Why it is unreadable, or only partly readable. */
  readonly problem?: string;
}

export type Heard = Exclude<AgentMessage, { type: 'report' }> | NumberedReport;

const Numbered = z.object({
  type: z.literal('report'),
  sequence: z.int().min(1),
  report: z.record(z.string(), z.unknown()).catch({}),
});

/** Fields that a report can lack and still convey a state. */
const DETAILS: ReadonlySet<string> = new Set(['output', 'note', 'error', 'release']);

/** @throws OrkestrError ORK_PROTOCOL for anything but a message of an agent */
export function readAgentMessage(data: Buffer, isBinary: boolean): Heard {
  if (isBinary) throw new OrkestrError('ORK_PROTOCOL', 'Messages are JSON text frames; this one was binary.');
  const body = parseJson(data.toString('utf8'));
  const message = AgentMessage.safeParse(body);
  if (message.success) return message.data;
  const [issue] = message.error.issues;
  const problem = `${issue?.path.join('.') ?? ''} ${issue?.message ?? 'unknown'}`;
  const numbered = Numbered.safeParse(body);
  if (numbered.success) return { ...numbered.data, report: bareReport(numbered.data.report), problem };
  throw new OrkestrError('ORK_PROTOCOL', `Not a message of an agent: ${problem}.`);
}

function bareReport(report: Readonly<Record<string, unknown>>): Report | null {
  const bare = Object.entries(report).filter(([field]) => !DETAILS.has(field));
  return Report.safeParse(Object.fromEntries(bare)).data ?? null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'A frame is not JSON.', { cause });
  }
}

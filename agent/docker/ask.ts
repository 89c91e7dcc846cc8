/** One request to Docker Engine without loading dockerode (250 ms, 30 MB): for status checks, not for work. */
import type { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { askHttp } from '../lib/http-call.ts';

/** Largest response that is read, bytes: some thousands of containers. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

interface Question<T> {
  /** Path and query of the Engine API, without a version: the engine then uses its newest. */
  readonly path: string;
  readonly schema: z.ZodType<T>;
  readonly method?: 'GET' | 'DELETE';
  /** The answer if the engine has no such thing; absent: that is an error. */
  readonly ifMissing?: T;
  /** Deadline of the whole call, ms: a hung engine accepts connections and never responds. */
  readonly deadlineMs: number;
}

/** @throws OrkestrError ORK_ENGINE_UNREACHABLE, ORK_ENGINE_TIMEOUT; ORK_INTERNAL if the engine refuses */
export async function askEngine<T>(
  socketPath: string,
  { path, schema, method = 'GET', ifMissing, deadlineMs }: Question<T>,
): Promise<T> {
  try {
    const call = { peer: { socketPath }, method, path, signal: AbortSignal.timeout(deadlineMs) };
    const { status, text } = await askHttp(call, MAX_ANSWER_BYTES);
    if (status === 404 && ifMissing !== undefined) return ifMissing;
    if (status >= 400) {
      const said = text.trim().slice(0, 500);
      throw new OrkestrError('ORK_INTERNAL', `Docker Engine answers with HTTP ${status}: ${said}`);
    }
    return schema.parse(text === '' ? null : JSON.parse(text));
  } catch (cause) {
    if (cause instanceof OrkestrError) throw cause;
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      throw new OrkestrError('ORK_ENGINE_TIMEOUT', `Docker Engine did not answer within ${deadlineMs / 1000} s.`, {
        cause,
      });
    }
    throw new OrkestrError('ORK_ENGINE_UNREACHABLE', `Docker Engine does not answer at ${socketPath}.`, {
      evidence: [cause instanceof Error ? cause.message : String(cause)],
      cause,
    });
  }
}

/** Long-running responses: limits their number, waits for slow readers, and ends them when the hub stops. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HubApp } from '../deps.ts';
import { ConcurrencyLimit } from '../concurrency-limit.ts';
import type { ConcurrencyLimits, LimitMessages } from '../concurrency-limit.ts';

/** Content type of server-sent events (WHATWG HTML section 9.2). */
export const EVENT_STREAM = 'text/event-stream';

interface LongAnswerOptions {
  readonly concurrency: ConcurrencyLimits;
  readonly messages: LimitMessages;
  /** A client that reads nothing for this long is dropped, ms. It may reconnect at its last position. */
  readonly stuckMs: number;
}

/** The stream to the client. */
export interface Answer {
  /** Aborts when the client disconnects or the hub stops. */
  readonly signal: AbortSignal;
  /** Resolves when the client can take more. */
  write(text: string): Promise<void>;
}

interface LongAnswers {
  /** Runs `work` within the client's limit. @throws OrkestrError ORK_TOO_MANY_REQUESTS */
  admit<T>(request: FastifyRequest, work: () => Promise<T>): Promise<T>;
  /** Responds with what `work` writes. Its errors are only logged: the response head has been sent by then. */
  give(
    request: FastifyRequest,
    reply: FastifyReply,
    contentType: string,
    work: (answer: Answer) => Promise<void>,
  ): Promise<void>;
}

export function makeLongAnswers(
  app: HubApp,
  { concurrency: limits, messages, stuckMs }: LongAnswerOptions,
): LongAnswers {
  const open = new Set<AbortController>();
  const limit = new ConcurrencyLimit(limits, messages);
  app.addHook('preClose', (done) => {
    for (const reader of open) reader.abort();
    done();
  });
  return {
    admit: (request, work) => limit.run(request.identity.tokenId, work),
    async give(request, reply, contentType, work) {
      reply.hijack();
      const { raw } = reply;
      const reader = new AbortController();
      open.add(reader);
      raw.on('close', () => reader.abort());
      if (raw.closed) reader.abort(); // disconnected before anything was sent
      try {
        raw.writeHead(200, {
          'content-type': contentType,
          'x-content-type-options': 'nosniff',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
          // Close the connection at the end, so that a stopping hub does not wait for idle ones.
          connection: 'close',
        });
        raw.flushHeaders();
        await work({ signal: reader.signal, write: (text) => write(raw, reader.signal, stuckMs, text) });
      } catch (error) {
        if (!reader.signal.aborted) request.log.error({ err: error }, 'a long answer broke off');
      } finally {
        open.delete(reader);
        raw.end();
      }
    },
  };
}

/** Waits for `drain` after each write that fills the buffer, so that memory use is bounded. */
async function write(response: ServerResponse, signal: AbortSignal, stuckMs: number, text: string): Promise<void> {
  signal.throwIfAborted();
  if (response.write(text)) return;
  await once(response, 'drain', { signal: AbortSignal.any([signal, AbortSignal.timeout(stuckMs)]) }).catch(
    (error: unknown) => {
      response.destroy();
      throw error;
    },
  );
}

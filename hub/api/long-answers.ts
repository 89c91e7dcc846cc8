/** Answers that go on for as long as somebody reads them: a limit on how many, one write at a time, an end when the hub stops. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { HubApp } from '../deps.ts';
import { ConcurrencyLimit } from '../concurrency-limit.ts';
import type { ConcurrencyLimits, LimitMessages } from '../concurrency-limit.ts';

/** Of an answer that is event by event (WHATWG HTML section 9.2). */
export const EVENT_STREAM = 'text/event-stream';

interface LongAnswerOptions {
  readonly concurrency: ConcurrencyLimits;
  readonly messages: LimitMessages;
  /** A client that takes nothing for this long is dropped; it may come back where it was, ms. */
  readonly stuckMs: number;
}

/** The way to the reader. */
export interface Answer {
  /** Aborts when the reader goes, or the hub stops. */
  readonly signal: AbortSignal;
  /** Resolves when the reader has taken what came before. */
  write(text: string): Promise<void>;
}

interface LongAnswers {
  /** Does `work` within the limit of whoever asks. @throws OrkestrError ORK_TOO_MANY_REQUESTS */
  admit<T>(request: FastifyRequest, work: () => Promise<T>): Promise<T>;
  /** Answers with what `work` writes. What it throws is logged: the head of the answer is out by then. */
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
      if (raw.closed) reader.abort(); // gone before there was anything to tell
      try {
        raw.writeHead(200, {
          'content-type': contentType,
          'x-content-type-options': 'nosniff',
          'cache-control': 'no-store',
          'x-accel-buffering': 'no',
          // Its end is the end of the connection, so that a stopping hub waits for none that idles.
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

/** One write at a time, each waiting until the client has taken the one before. */
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

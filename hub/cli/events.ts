/**
 * Reads server-sent events of the hub and resumes after disconnects. undici's EventSource is not used: it hides the
 * body of a refused request, so the problem document would be lost, and it gives up for good on a network error while
 * connecting.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { OrkestrError } from '../../protocol/errors.ts';
import { DeploymentEvent } from '../api/schemas.ts';
import { apiPath } from '../api/paths.ts';
import { unreachable } from './client.ts';
import type { Client } from './client.ts';
import { WAITS } from './patience.ts';

interface ServerSentEvent {
  /** Last event id of the stream, possibly set by an earlier event. */
  readonly id: string;
  readonly data: string;
}

/** Longest line of an event stream, characters: a log chunk of 64 KiB in base64 with room to spare. */
const MAX_LINE = 1_048_576;
/** The hub sends a comment at intervals; a connection that is silent for longer counts as dead. */
const SILENCE_MS = 60_000;

/**
 * Parser of the event stream format, WHATWG HTML section 9.2.6: fields `id` and `data`. Ignores comments, `event`,
 * `retry` and unknown fields (the data contains the kind of an event). Lines end with LF, CR or CRLF.
 */
export class EventStreamParser {
  readonly #decoder = new TextDecoder('utf-8');
  #rest = '';
  #id: string;
  #data: string[] = [];

  constructor(lastEventId = '') {
    this.#id = lastEventId;
  }

  push(bytes: Uint8Array): ServerSentEvent[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    const events: ServerSentEvent[] = [];
    // A CR at the very end may be the first half of a CRLF, so keep it for the next chunk.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? '';
    if (this.#rest.length > MAX_LINE) throw new OrkestrError('ORK_PROTOCOL', 'A line of the event stream is too long.');
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): ServerSentEvent | undefined {
    if (line === '') return this.#dispatch();
    const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? [];
    if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    if (this.#data.length === 0) return undefined;
    const data = this.#data.join('\n');
    this.#data = [];
    return { id: this.#id, data };
  }
}

interface FollowOptions {
  readonly signal: AbortSignal;
  /** Called when the connection was lost, before each retry. */
  readonly onReconnect?: (error: OrkestrError) => void;
  /** Pauses in ms before each attempt without news in between; after the last one the follower gives up. */
  readonly waits?: readonly number[];
}

/** A stream to follow. */
export interface Followed<T> {
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  /** @throws OrkestrError for an unknown event; if the error is retryable, the stream is reopened */
  read(data: string): T;
  /** Whether it is the last event. */
  isEnd(event: T): boolean;
  /** Whether the event shows progress, which resets the pauses. */
  isNews(event: T): boolean;
}

/** All events of a deployment from the first one, across disconnects, until its `end`. */
export const followDeployment = (
  client: Client,
  deploymentId: string,
  options: FollowOptions,
): AsyncGenerator<DeploymentEvent> =>
  followEvents(
    client,
    {
      path: `${apiPath('deployments', deploymentId)}/events`,
      read: (data) => readEvent(DeploymentEvent, data),
      isEnd: ({ kind }) => kind === 'end',
      isNews: () => true,
    },
    options,
  );

/**
 * All events of a stream, across disconnects, until its end.
 * @throws OrkestrError ORK_HUB_UNREACHABLE when the hub stays unreachable; other errors of the hub. Aborting ends it
 * quietly.
 */
export async function* followEvents<T>(
  client: Client,
  followed: Followed<T>,
  options: FollowOptions,
): AsyncGenerator<T> {
  const waits = options.waits ?? WAITS;
  let lastEventId = '';
  let attempt = 0;
  while (!options.signal.aborted) {
    let failure: OrkestrError;
    try {
      for await (const message of openStream(client, followed, lastEventId, options.signal)) {
        lastEventId = message.id;
        const event = followed.read(message.data);
        if (followed.isNews(event)) attempt = 0;
        yield event;
        if (followed.isEnd(event)) return;
      }
      failure = unreachable(client.url, new Error('the event stream ended early'));
    } catch (error) {
      if (options.signal.aborted) return;
      if (!(error instanceof OrkestrError) || !error.kind.retry) throw error;
      failure = error;
    }
    const wait = waits[attempt];
    if (wait === undefined) throw failure;
    attempt += 1;
    options.onReconnect?.(failure);
    await pause(wait, options.signal);
  }
}

async function* openStream(
  client: Client,
  { path, query }: Pick<Followed<unknown>, 'path' | 'query'>,
  lastEventId: string,
  signal: AbortSignal,
): AsyncGenerator<ServerSentEvent> {
  const answer = await client.open({
    method: 'GET',
    path,
    ...(query !== undefined && { query }),
    headers: { accept: 'text/event-stream', ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }) },
    signal,
    answerTimeoutMs: SILENCE_MS,
    bodyTimeoutMs: SILENCE_MS,
  });
  const parser = new EventStreamParser(lastEventId);
  const parts = (answer.body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  try {
    for (let part = await nextPart(parts, client.url); part; part = await nextPart(parts, client.url)) {
      yield* parser.push(part);
    }
  } finally {
    answer.body.on('error', () => undefined).destroy(); // closed by us: ignore the abort error
  }
}

async function nextPart(parts: AsyncIterator<Buffer>, url: string): Promise<Buffer | undefined> {
  try {
    const { done, value } = await parts.next();
    return done ? undefined : value;
  } catch (error) {
    throw unreachable(url, error);
  }
}

export function readEvent<T>(schema: z.ZodType<T>, data: string): T {
  try {
    return schema.parse(JSON.parse(data));
  } catch (cause) {
    throw new OrkestrError('ORK_PROTOCOL', 'The hub sent an event that this version of the CLI does not know.', {
      cause,
    });
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error; // aborted: the caller's loop notices
  }
}

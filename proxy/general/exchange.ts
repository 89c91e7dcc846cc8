/**
 * One request on its way through the general engine, from a client to a target and back: its fields, as policies and
 * canaries see them, and its outcome, as the observer gets it.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Context } from '../engine/context.ts';
import { RequestRecord } from '../engine/request-record.ts';
import { givenRequestId } from '../http/headers.ts';
import { failureAnswer, sendAnswer } from '../http/pages.ts';
import type { Answer, Failure } from '../http/pages.ts';
import type { Asked } from '../policy/policy.ts';
import type { Request } from './request.ts';

/** One request as node:http delivers it. */
export interface Arrival {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client waits for `100 Continue` before it sends its body (RFC 9110 section 10.1.1). */
  readonly expectsContinue: boolean;
  /** Set for a WebSocket handshake: the client's connection, and what it sent after the head. */
  readonly upgrade: { readonly socket: Socket; readonly head: Buffer } | null;
}

export class Exchange extends RequestRecord<Request> implements Asked {
  readonly engine = 'general';
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly expectsContinue: boolean;
  readonly upgrade: Arrival['upgrade'];
  readonly requestId: string;
  targetId: string | null = null;
  readonly #isClosing: () => boolean;

  /** @param isClosing true while the listener drains */
  constructor(
    context: Context,
    { req, res, expectsContinue, upgrade }: Arrival,
    request: Request,
    isClosing: () => boolean,
  ) {
    super(request, context);
    this.#isClosing = isClosing;
    this.req = req;
    this.res = res;
    this.expectsContinue = expectsContinue;
    this.upgrade = upgrade;
    this.requestId = givenRequestId(req.headers['x-request-id']) ?? randomUUID();
  }

  get method(): string {
    return this.req.method ?? '';
  }

  get contentLength(): number | null {
    const length = this.req.headers['content-length'];
    return length === undefined ? null : Number(length);
  }

  get httpVersion(): '1.0' | '1.1' {
    return this.req.httpVersion === '1.0' ? '1.0' : '1.1';
  }

  header(name: string): string | undefined {
    const value = this.req.headers[name];
    return typeof value === 'object' ? value.join(', ') : value;
  }

  /** True when the response must carry `Connection: close`, such as one sent before the whole request was read. */
  get mustClose(): boolean {
    const isUnread = (this.request.hasBody || this.expectsContinue) && !this.req.complete;
    return this.#isClosing() || this.upgrade !== null || isUnread;
  }

  /** True while the listener drains: responses tell the client not to reuse the connection. */
  get isClosing(): boolean {
    return this.#isClosing();
  }

  /**
   * True for a safe request without a body. Only these may use a connection that the target may be closing at this
   * moment, since only they may be sent a second time. All others get a new connection, so that for a POST the question
   * never arises whether it was processed on a lost connection.
   */
  get mayUsePool(): boolean {
    const isSafe = ['GET', 'HEAD', 'OPTIONS'].includes(this.method);
    return isSafe && this.upgrade === null && !this.request.hasBody;
  }

  /** True when the response can be ended early without being malformed: its length is not declared. */
  get endsByChunk(): boolean {
    return this.req.httpVersion === '1.1' && !this.res.hasHeader('content-length');
  }

  /** Memory that the request takes while it waits, bytes: node reads no more of its body than that. */
  get bytes(): number {
    const head = this.req.rawHeaders.reduce((sum, text) => sum + text.length, this.target.length);
    return head + (this.request.hasBody || this.upgrade ? this.req.socket.readableHighWaterMark : 0);
  }

  /** Sends a response in place of the app's. No head may have been sent. */
  send(answer: Answer): void {
    // A client that we may have misread, or whose body we do not want, must not reuse the connection.
    const isUnsure = answer.code === 'ORK_INVALID' || answer.code === 'ORK_TOO_LARGE';
    this.status = answer.status;
    this.bytesOut = this.method === 'HEAD' ? 0 : Buffer.byteLength(answer.body);
    this.res.once('close', () => this.conclude(this.res.writableFinished ? 'served' : 'abandoned'));
    sendAnswer(this.res, answer, isUnsure || this.mustClose);
  }

  /** Sends the error page of a failure. No head may have been sent. */
  refuse(failure: Failure): void {
    this.send(failureAnswer(failure, this.req.headers.accept, this.route?.edge.errorPages));
  }
}

/** A client's HTTP/2 connection (RFC 9113): its frames, its streams, and the limits on its cost. */
import type { Socket } from 'node:net';
import { Outlet } from '../net/outlet.ts';
import { AbuseBudget } from './abuse-budget.ts';
import { ResetStreams } from './reset-streams.ts';
import { SettingsExchange } from './settings-exchange.ts';
import { StreamNumbers } from './stream-numbers.ts';
import { ServerStream } from './stream.ts';
import type { StreamOwner } from './stream.ts';
import type { Tools } from './tools.ts';
import { requestTrailers } from './trailers.ts';
import { UploadWindow } from './upload-window.ts';
import { BlockReader } from './wire/block-reader.ts';
import type { BlockSink } from './wire/block-reader.ts';
import { check, CODE, ConnectionError, FLAG, FRAME, MAX_WINDOW } from './wire/codes.ts';
import type { FieldBlock } from './wire/field-block.ts';
import { FrameOutput } from './wire/frame-output.ts';
import { FrameReader } from './wire/frame-reader.ts';
import type { FrameSink } from './wire/frame-reader.ts';
import { HpackDecoder } from './wire/hpack-decoder.ts';
import type { FieldList } from './wire/hpack-decoder.ts';
import { SendTurns } from './wire/send-turns.ts';

/** Serves the requests of a connection. */
export interface Handler {
  /** @param fields valid during the call */
  request(stream: ServerStream, fields: FieldList, hasBody: boolean): void;
  /** A stream is closed. */
  streamClosed(stream: ServerStream): void;
  /** The connection is closed. */
  closed(): void;
}

/** Concurrent requests on one connection. */
const MAX_STREAMS = 128;
/** Bytes queued for a slow client above which the connection stops reading from it. */
const MAX_BACKLOG = 524_288;

export class Http2Connection implements FrameSink, BlockSink, StreamOwner {
  readonly streams = new Map<number, ServerStream>();
  readonly output: FrameOutput;
  /** False: no more frames are read, and no streams opened. */
  isOpen = true;
  readonly #socket: Socket;
  readonly #tools: Tools;
  readonly #handler: Handler;
  readonly #reader = new FrameReader(this);
  readonly #decoder = new HpackDecoder();
  readonly #settings = new SettingsExchange();
  readonly #turns: SendTurns;
  readonly #blocks: BlockReader;
  readonly #budget: AbuseBudget;
  readonly #reset = new ResetStreams();
  /** The stream of the DATA frame that is being read. */
  #receiving: ServerStream | null = null;
  readonly #numbers = new StreamNumbers();
  /** Streams above this identifier are not served; a GOAWAY has said so. */
  #lastServed = MAX_WINDOW;
  readonly #uploads = new UploadWindow();

  /** @param socket its reads arrive through {@link Http2Connection.read} */
  constructor(socket: Socket, tools: Tools, handler: Handler) {
    this.#socket = socket;
    this.#tools = tools;
    this.#handler = handler;
    this.output = new FrameOutput(new Outlet(socket, () => this.#drained()), tools.outputs);
    this.#turns = new SendTurns(this.output);
    this.#blocks = new BlockReader(this, tools.maxListBytes);
    this.#budget = new AbuseBudget(tools.clock);
    // `close` follows, and ends every stream.
    socket.on('error', () => undefined);
    socket.once('end', () => socket.destroy());
    socket.once('close', () => this.#closed());
    this.#settings.greet(this.output, { maxStreams: MAX_STREAMS, maxListBytes: tools.maxListBytes });
    this.#uploads.open(this.output);
  }

  /** The block in which heads and trailers are built. */
  get block(): FieldBlock {
    return this.#tools.block;
  }

  /** True in the middle of a frame or field block, and before the client's first SETTINGS. */
  get isWaitedFor(): boolean {
    return !this.#settings.greeted || this.#blocks.isInside || this.#reader.isInside;
  }

  /** True while the socket applies back-pressure. */
  get isFull(): boolean {
    return this.output.isFull;
  }

  /**
   * Processes the bytes of one read, valid only during the call.
   * @returns false to pause reading
   */
  read(bytes: Buffer, start: number, end: number): boolean {
    if (!this.isOpen) return true;
    try {
      this.#reader.read(bytes, start, end);
    } catch (error) {
      const isClients = error instanceof ConnectionError;
      this.fail(isClients ? error.code : CODE.internalError);
      // A bug of ours: it closes this client's connection, and the operator gets a report (uncaught.ts).
      if (!isClients) throw error;
    }
    return !this.isOpen || this.#socket.writableLength < MAX_BACKLOG;
  }

  /** Sends GOAWAY. @param isFinal false: requests already on their way are still served */
  goAway(isFinal: boolean): void {
    if (!this.isOpen) return;
    if (isFinal) this.#lastServed = this.#numbers.last;
    this.output.goaway(this.#lastServed, CODE.noError);
    if (isFinal && this.streams.size === 0) this.#leave();
  }

  /** Closes the connection with a GOAWAY that carries the code. */
  fail(code: number): void {
    if (!this.isOpen) return;
    this.output.goaway(Math.min(this.#numbers.last, this.#lastServed), code);
    this.#leave();
    this.#dropAll(code);
  }

  destroy(): void {
    this.isOpen = false;
    this.#socket.destroy();
  }

  // StreamOwner

  allowance(most: number): number {
    return this.#turns.allowance(most);
  }

  spend(octets: number, isCut: boolean): void {
    this.#budget.sent(octets, isCut);
    this.#turns.spend(octets);
  }

  lend(most: number): number {
    return this.#uploads.lend(most);
  }

  enqueue(stream: ServerStream): void {
    this.#turns.add(stream);
  }

  fault(stream: ServerStream, code: number): void {
    stream.reset(code);
    this.#countReset();
  }

  closed(stream: ServerStream, byUs: boolean): void {
    this.streams.delete(stream.id);
    this.#uploads.takeBack(stream.lent);
    this.#turns.remove(stream);
    if (byUs) this.#reset.add(stream.id);
    this.#handler.streamClosed(stream);
    if (this.streams.size === 0 && this.#lastServed < MAX_WINDOW) this.#leave();
  }

  // FrameSink

  frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    this.#expect(type);
    switch (type) {
      case FRAME.headers:
        check((id & 1) === 1, CODE.protocolError, 'HEADERS of no stream of a client');
        return this.#blocks.headers(flags, id, bytes, start, end);
      case FRAME.continuation:
        return this.#blocks.continuation(flags, id, bytes, start, end);
      case FRAME.windowUpdate:
        return this.#windowUpdate(id, bytes, start, end);
      case FRAME.reset:
        return this.#resetBy(id, bytes, start, end);
      case FRAME.settings:
        return this.#takeSettings(flags, id, bytes, start, end);
      case FRAME.ping:
        return this.#ping(flags, id, bytes, start, end);
      case FRAME.priority:
        return this.#priority(id, end - start);
      case FRAME.goaway:
        check(id === 0, CODE.protocolError, 'GOAWAY of a stream');
        check(end - start >= 8, CODE.frameSizeError, 'GOAWAY');
        return this.#budget.frame();
      case FRAME.pushPromise:
        throw new ConnectionError(CODE.protocolError, 'a client pushes');
      default:
        // Unknown frames are ignored (RFC 9113 section 5.5).
        return this.#budget.frame();
    }
  }

  dataBegins(id: number, length: number, content: number, isLast: boolean): void {
    this.#expect(FRAME.data);
    check(id !== 0 && !this.#numbers.isIdle(id), CODE.protocolError, 'DATA of no stream');
    this.#uploads.take(length);
    this.#budget.data(content, isLast);
    const stream = this.streams.get(id) ?? null;
    this.#receiving = stream;
    if (stream === null) this.#late(id);
    else stream.take(length, content, isLast);
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#receiving?.data(bytes, start, end);
  }

  dataEnds(isLast: boolean): void {
    const stream = this.#receiving;
    this.#receiving = null;
    if (isLast) stream?.requestEnds([]);
    else stream?.taken();
    this.#uploads.giveBack(this.output);
  }

  // Frames

  /** The first frame must be SETTINGS, and nothing may interrupt a field block. */
  #expect(type: number): void {
    check(this.#settings.greeted || type === FRAME.settings, CODE.protocolError, 'a frame before the settings');
    check(!this.#blocks.isInside || type === FRAME.continuation, CODE.protocolError, 'a frame within a field block');
  }

  /** Processes a complete field block. */
  fieldBlock(id: number, isLast: boolean, bytes: Buffer, start: number, end: number): void {
    const { fields } = this.#tools;
    // Always decode: later blocks depend on the state of the table.
    this.#decoder.decode(bytes, start, end, fields);
    const stream = this.streams.get(id);
    if (stream !== undefined) this.#trailers(stream, isLast, fields);
    else if (id <= this.#numbers.last) this.#behind(id);
    else if (id <= this.#lastServed) this.#open(id, isLast, fields);
    else {
      // The GOAWAY has said so: the client will retry on another connection.
      this.#numbers.last = id;
      this.#reset.add(id);
      this.#budget.frame();
    }
  }

  #open(id: number, isLast: boolean, fields: FieldList): void {
    this.#numbers.open(id);
    if (this.streams.size >= MAX_STREAMS) this.#refuse(id, CODE.refusedStream, this.#settings.limitsKnown);
    else if (fields.isTooLarge) this.#refuse(id, CODE.enhanceYourCalm, true);
    else {
      this.#budget.request();
      const stream = new ServerStream(id, this, this.#settings.windowBytes);
      this.streams.set(id, stream);
      if (isLast) stream.requestEnds([]);
      this.#handler.request(stream, fields, !isLast);
    }
  }

  /** HEADERS on a stream that is closed or was skipped. */
  #behind(id: number): void {
    check(!this.#numbers.wasPassedOver(id), CODE.protocolError, 'a stream that was passed over');
    this.#late(id);
  }

  #trailers(stream: ServerStream, isLast: boolean, fields: FieldList): void {
    if (stream.isRequestEnded) return this.fault(stream, CODE.streamClosed);
    const trailers = isLast && !fields.isTooLarge ? requestTrailers(fields) : null;
    if (trailers === null) this.fault(stream, CODE.protocolError);
    else stream.requestEnds(trailers);
    return undefined;
  }

  #windowUpdate(id: number, bytes: Buffer, start: number, end: number): void {
    check(end - start === 4, CODE.frameSizeError, 'WINDOW_UPDATE');
    check(!this.#numbers.isIdle(id), CODE.protocolError, 'WINDOW_UPDATE of no stream');
    const increment = bytes.readUInt32BE(start) & MAX_WINDOW;
    this.#budget.update(increment);
    if (id === 0) {
      check(increment > 0, CODE.protocolError, 'a window that grows by nothing');
      check(this.#turns.widen(increment), CODE.flowControlError, 'a window beyond 2^31');
      return;
    }
    const stream = this.streams.get(id);
    if (stream === undefined) return;
    if (increment === 0) this.fault(stream, CODE.protocolError);
    else if (!stream.widen(increment)) this.fault(stream, CODE.flowControlError);
    else this.#turns.run();
  }

  #resetBy(id: number, bytes: Buffer, start: number, end: number): void {
    check(end - start === 4, CODE.frameSizeError, 'RST_STREAM');
    check(id !== 0 && !this.#numbers.isIdle(id), CODE.protocolError, 'RST_STREAM of no stream');
    const stream = this.streams.get(id);
    if (stream === undefined) return this.#budget.frame();
    stream.drop(bytes.readUInt32BE(start));
    return this.#countReset();
  }

  #takeSettings(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    check(id === 0, CODE.protocolError, 'SETTINGS of a stream');
    if ((flags & FLAG.ack) !== 0) {
      this.#settings.acknowledged(end - start);
      return this.#budget.frame();
    }
    this.#budget.dearFrame();
    const growth = this.#settings.take(bytes, start, end, this.output);
    for (const stream of this.streams.values()) {
      check(stream.widen(growth), CODE.flowControlError, 'a window beyond 2^31');
    }
    this.output.acknowledgeSettings();
    return this.#turns.run();
  }

  #ping(flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    check(id === 0, CODE.protocolError, 'PING of a stream');
    check(end - start === 8, CODE.frameSizeError, 'PING');
    this.#budget.frame();
    if ((flags & FLAG.ack) === 0) this.output.acknowledgePing(bytes, start);
  }

  /** Checked and ignored (RFC 9113 section 5.3.2). */
  #priority(id: number, length: number): void {
    check(id !== 0, CODE.protocolError, 'PRIORITY of no stream');
    this.#budget.frame();
    if (length === 5) return;
    const stream = this.streams.get(id);
    if (stream === undefined) throw new ConnectionError(CODE.frameSizeError, 'PRIORITY');
    this.fault(stream, CODE.frameSizeError);
  }

  #countReset(): void {
    if (!this.#budget.reset()) this.fail(CODE.enhanceYourCalm);
  }

  /** @param isFault the client could have known the limit */
  #refuse(id: number, code: number, isFault: boolean): void {
    this.output.reset(id, code);
    this.#reset.add(id);
    if (isFault) this.#countReset();
    else this.#budget.frame();
  }

  /** A frame on a closed stream: sent before the client saw our reset, or a violation. */
  #late(id: number): void {
    check(this.#reset.has(id), CODE.streamClosed, 'a frame of a stream that is closed');
    this.#budget.frame();
  }

  // Closing

  #drained(): void {
    this.output.isFull = false;
    this.#turns.run();
    this.#socket.resume();
  }

  /** Sends FIN after the pending output. What the client still sends is read and dropped. */
  #leave(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.output.close();
    this.#socket.end();
    this.#socket.resume();
  }

  #closed(): void {
    this.isOpen = false;
    this.#dropAll(CODE.cancel);
    this.#handler.closed();
  }

  #dropAll(code: number): void {
    for (const stream of this.streams.values()) stream.drop(code);
  }
}

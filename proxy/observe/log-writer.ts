/** Writes bytes to a descriptor without blocking the process, whatever is on the other side. */
import { closeSync, constants, fstatSync, openSync, write, writeSync } from 'node:fs';

export interface LogWriter {
  /** Largest write, bytes: it is not split, and bytes of other writers do not end up inside it. */
  readonly chunkBytes: number;
  /** @param done is called once, maybe before `write` returns. EAGAIN: the reader is slow, try again later */
  write(bytes: Buffer, from: number, length: number, done: (error: Error | null, written: number) => void): void;
  close(): void;
}

/** PIPE_BUF of pipe(7): a write of up to this size is atomic. */
const PIPE_BYTES = 4096;
const WHOLE_BUFFER = 65_536;

/** @param fd stays open: it belongs to the caller */
export function makeLogWriter(fd: number): LogWriter {
  const pipe = fstatSync(fd).isFIFO() ? reopen(fd) : null;
  return pipe === null ? threadWriter(fd) : pipeWriter(pipe);
}

/**
 * Opens the same pipe under a non-blocking descriptor of our own. (On the shared one the flag would affect everybody
 * who writes there.) Null when the kernel does not permit it: the pipe belongs to another user.
 */
function reopen(fd: number): number | null {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK);
  } catch {
    // The shared descriptor is then written from another thread.
    return null;
  }
}

/**
 * A non-blocking pipe is written directly: 3 us per 4 KiB against 40 us through a thread. A thread that blocks on a
 * pipe with a stuck reader would also keep the process from exiting.
 */
function pipeWriter(fd: number): LogWriter {
  return {
    chunkBytes: PIPE_BYTES,
    write: (bytes, from, length, done) => {
      let written = 0;
      try {
        written = writeSync(fd, bytes, from, length);
      } catch (error) {
        return done(error as Error, 0);
      }
      return done(null, written);
    },
    close: () => closeSync(fd),
  };
}

/** For files, because a disk may be slow, and for the journal's socket. Each buffer is one write, or one message. */
function threadWriter(fd: number): LogWriter {
  return {
    chunkBytes: WHOLE_BUFFER,
    write: (bytes, from, length, done) => write(fd, bytes, from, length, null, done),
    close: () => undefined,
  };
}

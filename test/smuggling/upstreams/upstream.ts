/** What the suite requires of an upstream: a real server that records every request it understood. */

/** Where a server runs and what it may write. */
export interface Place {
  /** Its own folder, created and removed by the suite. */
  readonly folder: string;
  readonly port: number;
  /**
   * One line per request that the server understood: `METHOD TARGET`, possibly followed by more. The server creates the
   * file; each line is in it before its request is answered, or right after.
   */
  readonly seenFile: string;
}

export interface UpstreamKind {
  readonly name: string;
  /**
   * True for servers whose app, not the server, records the requests: refusals by the server itself (400, 501) have no
   * line, so their responses are counted instead.
   */
  readonly refusesUnseen: boolean;
  /** Writes the server's settings, and returns the command that runs it in the foreground. */
  command(place: Place): ServerCommand;
}

interface ServerCommand {
  readonly argv: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  /** The server can record requests only in its output, which then is the seenFile. */
  readonly seenInOutput?: boolean;
}

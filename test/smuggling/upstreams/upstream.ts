/** What the suite asks of an upstream: a real server that notes every request which it understood. */

/** Where a server runs and what it may write. */
export interface Place {
  /** A folder of its own, made and removed by the suite. */
  readonly folder: string;
  readonly port: number;
  /**
   * One line per request that the server understood: `METHOD TARGET`, perhaps with more behind. The server makes it;
   * each line is in the file before its request is answered, or right after.
   */
  readonly seenFile: string;
}

export interface UpstreamKind {
  readonly name: string;
  /**
   * True for servers whose app, not the server, notes the requests: what the server itself refuses (400, 501) is in no
   * line, so its refusals are counted by their answers.
   */
  readonly refusesUnseen: boolean;
  /** Writes the server's settings, and says how it is run in the foreground. */
  command(place: Place): ServerCommand;
}

interface ServerCommand {
  readonly argv: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  /** The server can note requests nowhere but in its output: that is the seenFile then. */
  readonly seenInOutput?: boolean;
}

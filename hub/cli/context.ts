/** Dependencies of every command: the terminal, the settings, and the hub. Only main.ts builds it. */
import { OrkestrError } from '../../protocol/errors.ts';
import { Client } from './client.ts';
import type { Config } from './config.ts';
import { Output } from './output.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  readonly terminal: Terminal;
  readonly config: Config;
  /** The working directory of the command. */
  readonly cwd: string;
  readonly now: () => number;
  /**
   * Calls `listener` on Ctrl-C; returns a function that removes it. Without a listener, the signal ends the process.
   */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** Output of this command, as JSON or text depending on `--json`. */
  output(json: boolean | undefined): Output;
  /** The hub that the user is logged in to. @throws OrkestrError ORK_UNAUTHENTICATED without a token. */
  hub(): Client;
  close(): Promise<void>;
}

export function makeContext(parts: Pick<Context, 'terminal' | 'config' | 'cwd' | 'now' | 'onInterrupt'>): Context {
  let client: Client | undefined;
  return {
    ...parts,
    output: (json) =>
      new Output(parts.terminal, { json: json === true, noColor: parts.config.noColor, hubUrl: parts.config.url }),
    hub() {
      const { url, token, proxies } = parts.config;
      if (token === undefined) {
        throw new OrkestrError('ORK_UNAUTHENTICATED', `You are not logged in to ${url}.`, {
          evidence: [`Log in with: orkestr login ${url}`],
        });
      }
      client ??= new Client({ url, token, proxies });
      return client;
    },
    async close() {
      await client?.close();
    },
  };
}

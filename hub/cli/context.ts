/** What every command is given: the terminal, the settings, and the hub. Built once in main.ts, and by nothing else. */
import { OrkestrError } from '../../protocol/errors.ts';
import { Client } from './client.ts';
import type { Config } from './config.ts';
import { Output } from './output.ts';
import type { Terminal } from './terminal.ts';

export interface Context {
  readonly terminal: Terminal;
  readonly config: Config;
  /** The folder that the command was called in. */
  readonly cwd: string;
  readonly now: () => number;
  /** Aborted by Ctrl-C. Followers end quietly then; everything else is ended by the signal itself. */
  readonly onInterrupt: (listener: () => void) => () => void;
  /** How this command writes; `--json` decides. */
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

/** For tests: the real `orkestr` process, and a scripted hub for it to talk to. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach } from 'node:test';
import { OrkestrError, toErrorReport, toProblem } from '../../protocol/errors.ts';
import type { ErrorCode } from '../../protocol/error-catalogue.ts';
import { cliProgram } from '../../test/harness/cli-program.ts';
import { ourEnv } from '../../test/harness/our-program.ts';
import type { DeploymentEvent } from '../api/schemas.ts';

export const TOKEN = 'ork_test-token-that-must-not-be-shown';

/** A request to the scripted hub. */
interface Asked {
  readonly route: string;
  readonly query: string;
  readonly body: unknown;
  readonly headers: IncomingMessage['headers'];
}

/** Answers one request: a result is sent as JSON; a handler may also write the response itself and return nothing. */
export type Script = (asked: Asked, response: ServerResponse) => unknown;

interface ScriptedHub {
  readonly url: string;
  readonly asked: Asked[];
  /** Stops the hub. @throws when there were unscripted requests. */
  stop(): Promise<void>;
}

/** "GET /me" → its response. Paths are below /api/v1; any other call is an error. */
type Routes = Readonly<Record<string, Script>>;

export async function startScriptedHub(routes: Routes): Promise<ScriptedHub> {
  const asked: Asked[] = [];
  const unscripted: string[] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://hub.invalid');
    const route = `${request.method} ${url.pathname.replace(/^\/api\/v1/, '')}`;
    const sent = await text(request);
    const call = {
      route,
      query: url.search,
      body: sent === '' ? undefined : JSON.parse(sent),
      headers: request.headers,
    };
    asked.push(call);
    const script = routes[route];
    if (script === undefined) {
      unscripted.push(route);
      response.writeHead(500).end('not scripted');
      return;
    }
    const value = await script(call, response);
    if (value !== undefined) {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(value));
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      if (unscripted.length > 0) throw new Error(`The hub was asked what no test expected: ${unscripted.join(', ')}`);
    },
  };
}

/** A script that answers with a problem, as the hub does. */
export const refuse =
  (code: ErrorCode, detail: string, evidence: string[] = []): Script =>
  (_asked, response) => {
    const problem = toProblem(toErrorReport(new OrkestrError(code, detail, { evidence })));
    response.writeHead(problem.status, { 'content-type': 'application/problem+json' }).end(JSON.stringify(problem));
  };

/** A script that answers like a reverse proxy while the hub restarts. */
export const away: Script = (_asked, response) => void response.writeHead(502).end('Bad Gateway');

/** Events in the format of the hub's stream, numbered from `first`. */
export const eventStream = (events: readonly DeploymentEvent[], first = 1): string =>
  events.map((event, index) => `id: ${first + index}\ndata: ${JSON.stringify(event)}\n\n`).join('');

/** A script that streams events and ends. */
export const stream =
  (events: readonly DeploymentEvent[]): Script =>
  (_asked, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`: here\n\n${eventStream(events)}`);
  };

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly cwd?: string;
  /** Sends Ctrl-C as soon as this text appears in stdout. */
  readonly interruptAt?: string;
}

/** An environment to run the CLI in: its own configuration folder, nothing of the machine's user. */
export interface CliHome {
  readonly folder: string;
  run(args: readonly string[], options?: CliOptions): Promise<CliResult>;
  remove(): void;
}

export function makeCliHome(): CliHome {
  const folder = mkdtempSync(join(tmpdir(), 'orkestr-cli-'));
  return {
    folder,
    run: (args, options = {}) => runCli(folder, args, options),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function runCli(folder: string, args: readonly string[], options: CliOptions): Promise<CliResult> {
  const [node, cli] = cliProgram();
  const child = spawn(node, [cli, ...args], {
    cwd: options.cwd ?? folder,
    env: ourEnv({
      HOME: folder,
      XDG_CONFIG_HOME: folder,
      GIT_CEILING_DIRECTORIES: tmpdir(),
      ...options.env,
    }),
  });
  child.stdin.end(options.stdin ?? '');
  let seen = '';
  let interrupted = false;
  child.stdout.on('data', (part: Buffer) => {
    seen += part.toString();
    if (interrupted || options.interruptAt === undefined || !seen.includes(options.interruptAt)) return;
    interrupted = child.kill('SIGINT');
  });
  const [stderr, code] = await Promise.all([
    text(child.stderr),
    new Promise<number | null>((resolve) => child.on('close', resolve)),
  ]);
  return { code, stdout: seen, stderr };
}

/** The CLI in the tests of a file: each test has its own home, and a hub once it has scripted one. */
interface TestCli {
  readonly home: CliHome;
  /** The hub that was scripted last; its calls stay available after it has stopped. */
  readonly hub: ScriptedHub | undefined;
  /** Starts a scripted hub and stops the previous one. */
  readonly script: typeof startScriptedHub;
  /** Runs a command as a logged-in user of a hub with these routes. */
  readonly run: (args: readonly string[], routes: Routes, options?: CliOptions) => Promise<CliResult>;
}

/** Call it once, at the top of a test file. */
export function useCli(): TestCli {
  let home: CliHome;
  let hub: ScriptedHub | undefined;
  beforeEach(() => (home = makeCliHome()));
  afterEach(async () => {
    home.remove();
    const stopping = hub;
    hub = undefined;
    await stopping?.stop();
  });
  const script = async (routes: Routes): Promise<ScriptedHub> => {
    await hub?.stop();
    return (hub = await startScriptedHub(routes));
  };
  return {
    get home() {
      return home;
    },
    get hub() {
      return hub;
    },
    script,
    run: async (args, routes, options = {}) => {
      const { url } = await script(routes);
      return home.run(args, { ...options, env: { ORKESTR_URL: url, ORKESTR_TOKEN: TOKEN, ...options.env } });
    },
  };
}
